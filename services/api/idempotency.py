"""Idempotent requests: one transaction holds the key, the change and the stored answer, or none of them."""

import hashlib
import re
from datetime import timedelta
from http import HTTPStatus

from services.api.call import Call, Handler
from services.api.http import Answer, header
from services.api.problems import problem_answer, status_of
from services.api.store import idempotency
from services.api.store.idempotency import Stored
from shared.errors import Problem
from shared.postgres import Connection

KEPT = timedelta(hours=24)
METHODS = frozenset({"POST", "PUT", "DELETE"})
# Refused at the door, or by a condition that is no part of the request's fingerprint: there is nothing to repeat.
_NOT_STORED = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_REPLAYED = (b"idempotent-replayed", b"true")


def idempotency_key(call: Call) -> str | None:
    """The request's Idempotency-Key, if it has one that counts; raises invalid_parameter."""
    given = header(call.scope, b"idempotency-key")
    if given is None or call.scope["method"] not in METHODS:
        return None
    if not _KEY.fullmatch(given):
        raise Problem("invalid_parameter", "Idempotency-Key must be 1 to 255 printable ASCII characters")
    return given.decode()


async def answer_once(call: Call, key: str, work: Handler) -> Answer:
    """The stored answer of the same request, or ``work``'s stored with its change; raises what may pass on retry."""
    async with call.transaction() as connection:
        call.held = connection
        try:
            return await _replay(call, key, connection) or await _perform(call, key, work, connection)
        finally:
            call.held = None


async def _replay(call: Call, key: str, connection: Connection) -> Answer | None:
    if not await idempotency.try_lock(connection, call.account_id, key):
        raise Problem(
            "idempotency_in_progress", "A request with this Idempotency-Key is still running", retry_after_s=1
        )
    stored = await idempotency.select_stored(connection, call.account_id, key, since=call.now - KEPT)
    if stored is None:
        return None
    if stored.fingerprint != _fingerprint(call):
        raise Problem(
            "idempotency_mismatch",
            "This Idempotency-Key was used for another request; use a new key for a new request",
        )
    return Answer(
        status=stored.status, body=stored.body, headers=((b"content-type", b"application/json"), _REPLAYED)
    )


async def _perform(call: Call, key: str, work: Handler, connection: Connection) -> Answer:
    try:
        async with connection.transaction():
            answer = await work(call)
    except Problem as problem:
        if status_of(problem) in _NOT_STORED or status_of(problem) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        answer = problem_answer(problem)
    stored = Stored(_fingerprint(call), answer.status, answer.body)
    await idempotency.upsert_stored(connection, call.account_id, key, stored, now=call.now)
    return answer


def _fingerprint(call: Call) -> bytes:
    parts = (call.scope["method"].encode(), call.scope["raw_path"], call.scope["query_string"], call.body)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
