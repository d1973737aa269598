"""Entity tags of what is answered as JSON, and the conditions on them (RFC 9110, 13.1).

A tag is a digest of the body as answered, so that nothing has to be kept for it, and a replayed answer has its own.
A tag that the compression has marked comes here without its mark (services/api/compression.py).
"""

from hashlib import blake2b
from http import HTTPStatus

from starlette.types import Scope

from services.api.http import Answer, is_known
from shared.errors import Problem

DIGEST_BYTES = 16
_READING = frozenset({"GET", "HEAD"})
_CONDITIONS = frozenset({b"if-match", b"if-none-match"})


def entity_tag(body: bytes) -> str:
    return blake2b(body, digest_size=DIGEST_BYTES).hexdigest()


def tagged(scope: Scope, answer: Answer) -> Answer:
    """A success under its tag; to a reader who holds it already, the tag alone."""
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        return answer
    tag = entity_tag(answer.body)
    header = (b"etag", f'"{tag}"'.encode())
    if scope["method"] in _READING and is_known(scope, tag):
        return Answer(status=304, headers=(header,))
    return Answer(status=answer.status, body=answer.body, headers=(*answer.headers, header))


def is_conditional(scope: Scope) -> bool:
    return any(name in _CONDITIONS for name, _ in scope["headers"])


def require_conditions(scope: Scope, body: bytes) -> None:
    """To be asked of what would be answered now, while it is locked; raises precondition_failed."""
    require_tag(scope, entity_tag(body))


def require_tag(scope: Scope, tag: str) -> None:
    """The same of what bears this tag."""
    wanted = _match_tags(scope)
    if wanted is not None and not wanted & {"*", f'"{tag}"'}:
        raise Problem(
            "precondition_failed",
            "It has changed since you read it, and nothing was done; read it again, and repeat your change with its"
            " new ETag in If-Match",
        )
    if is_known(scope, tag):
        raise Problem("precondition_failed", "It is there already, which If-None-Match rules out")


def require_no_match(scope: Scope) -> None:
    """To be asked before something is created; raises precondition_failed."""
    if _match_tags(scope) is not None:
        raise Problem(
            "precondition_failed", "There is nothing yet that If-Match could match; leave it out to create it"
        )


def _match_tags(scope: Scope) -> set[str] | None:
    """Those of If-Match, None without it; a weak one never equals a strong one, and so matches nothing."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-match"]
    return {tag.strip() for tag in ",".join(given).split(",")} if given else None
