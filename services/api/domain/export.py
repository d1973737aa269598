"""An export as rules: what a body may ask for, in which order, what fits into a part, and how far it has come."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from services.api.domain.rules import Broken, Rule, check_fields, one_of, optional, require_object
from shared.errors import Problem

DOCUMENTS_MAX = 10_000
FORMATS = ("zip", "pdf")
ORDERS = ("given", "newest", "oldest", "number")
UNFINISHED_STATES = ("queued", "running")
# A part is some seconds of one browser, so that accounts take short turns, and one job that a queue can hold.
PART_DOCUMENTS_MAX = 100
PART_LINES_MAX = 1_500
PART_BYTES_MAX = 1024 * 1024
# Each file holds its own logo: a print of the heaviest ones, and no more than a process can have several of in memory.
PART_LOGO_BYTES_MAX = 16 * 1024 * 1024
# Until the file is there, an export is not all done, though its documents are.
PROGRESS_BEFORE_READY = 0.99
EITHER = "Give either documents or filter"
NO_SUCH_DOCUMENT = "No such document"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a body asks for; ``documents`` is None where a filter chooses, whose fields are yet to be read."""

    documents: list[Any] | None
    filter: dict[str, Any]
    format: str
    order: str


class Choice(msgspec.Struct, frozen=True):
    """A document that an export may hold, with what orders it."""

    id: str
    number: str | None


class Weight(msgspec.Struct, frozen=True):
    """What a document costs to print (lines) and to carry (bytes), and its logo once it is printed."""

    lines: int
    size_bytes: int
    logo_bytes: int = 0


def read_export(body: Any) -> tuple[Asked, dict[str, str]]:
    """What the body asks for, as far as it can be read, and its faults; raises validation_error for no object."""
    fields = require_object(body)
    values, faults = check_fields(fields, _RULES, ())
    if (fields.get("documents") is None) == (fields.get("filter") is None):
        faults["documents"] = EITHER
    documents = values.get("documents")
    order = values.get("order") or ("newest" if documents is None else "given")
    if order == "given" and documents is None and not faults:
        faults["order"] = "Must be newest, oldest or number where a filter chooses"
    asked = Asked(
        documents=documents,
        filter=values.get("filter") or {},
        format=values.get("format") or FORMATS[0],
        order=order,
    )
    return asked, faults


def _documents(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Broken("Must be a list of document ids")
    if not 1 <= len(value) <= DOCUMENTS_MAX:
        raise Broken(f"Must hold from 1 to {DOCUMENTS_MAX:,} ids")
    return value


def _filter(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Broken("Must be an object of the list's filters, such as status; {} is all documents")
    return value


_RULES: dict[str, Rule] = {
    "documents": optional(_documents),
    "filter": optional(_filter),
    "format": optional(one_of(FORMATS)),
    "order": optional(one_of(ORDERS)),
}


def document_faults(documents: Sequence[Any], known: Collection[str]) -> dict[str, str]:
    """Each place of the list that names no document of the account, or one that was named before."""
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for index, document in enumerate(documents):
        if not isinstance(document, str) or document not in known:
            faults[f"documents[{index}]"] = NO_SUCH_DOCUMENT
        elif document in seen:
            faults[f"documents[{index}]"] = "Is in the list already"
        else:
            seen.add(document)
    return faults


def ordered(choices: Sequence[Choice], order: str, given: Sequence[str]) -> list[str]:
    """The ids in the order of the file; drafts, which have no number, come after all numbers."""
    if order == "given":
        return list(given)
    if order == "number":
        return [choice.id for choice in sorted(choices, key=_by_number)]
    return sorted((choice.id for choice in choices), reverse=order == "newest")


def _by_number(choice: Choice) -> tuple[bool, str, int, str, str]:
    """As the list is sorted: by type and year, and within them a sequence of seven digits comes after all of six."""
    number = choice.number or ""
    return not number, number.rstrip("0123456789"), len(number), number, choice.id


def fitting(document_ids: Sequence[str], weights: Mapping[str, Weight]) -> int:
    """How many of the first documents make one part: one at least; what is gone weighs nothing."""
    total = Weight(0, 0)
    for count, document_id in enumerate(document_ids):
        weight = weights.get(document_id, Weight(0, 0))
        total = Weight(
            total.lines + weight.lines,
            total.size_bytes + weight.size_bytes,
            total.logo_bytes + weight.logo_bytes,
        )
        if count and (count == PART_DOCUMENTS_MAX or _is_full(total)):
            return count
    return len(document_ids)


def _is_full(part: Weight) -> bool:
    return (
        part.lines > PART_LINES_MAX
        or part.size_bytes > PART_BYTES_MAX
        or part.logo_bytes > PART_LOGO_BYTES_MAX
    )


def progress(state: str, *, total: int, done: int, failed: int) -> float:
    """From 0 to 1, which it is when the file is there."""
    if state in {"ready", "expired"}:
        return 1.0
    return min(PROGRESS_BEFORE_READY, round((done + failed) / total, 4))


def require_unfinished(state: str) -> None:
    """Raises invalid_transition."""
    if state not in UNFINISHED_STATES:
        raise Problem(
            "invalid_transition",
            f"An export that is {state} cannot be cancelled; only one that is queued or running can",
            {"state": state},
        )
