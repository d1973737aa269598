"""What bulk creates share: reading a call's items, and its answer of a result for each of them, in their order."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar

import asyncpg
import msgspec

from services.api.call import Call
from services.api.domain.rules import validation_error
from services.api.http import BODY_BYTES_MAX, JSON, Answer
from services.api.many import Many
from services.api.problems import problem_answer
from services.api.routes.holders import external_id_taken
from shared.errors import Problem
from shared.postgres import Connection

T = TypeVar("T")

# A thousand items may have many more faults than anybody reads.
FAULTS_MAX = 1_000
# As often may others take an external id that was free.
ATTEMPTS_MAX = 5


async def read_items(call: Call, many: Many, read: Callable[[int, msgspec.Raw], T]) -> list[T | Problem]:
    """What ``read`` makes of each item at its place, or the problem with it; raises invalid_json.

    Each is read whole before the next one: what it leaves behind is still in the processor's caches.
    """
    return await call.state["lane"].in_slices(lambda item: _read(read, *item), enumerate(many.items))


def _read(read: Callable[[int, msgspec.Raw], T], at: int, item: msgspec.Raw) -> T | Problem:
    if len(memoryview(item)) > BODY_BYTES_MAX:
        return Problem("payload_too_large", f"The item is larger than {BODY_BYTES_MAX:,} bytes")
    try:
        return read(at, item)
    except Problem as problem:
        if problem.code == "invalid_json":
            raise
        return problem


async def tried_again(call: Call, work: Callable[[Connection], Awaitable[Answer]]) -> Answer:
    """The work in a transaction of its own, and anew after another one has come between its look and its write."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            async with call.transaction() as connection:
                return await work(connection)
        except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError) as error:
            if attempt == ATTEMPTS_MAX:
                raise _others_write() from error
    raise AssertionError


def _others_write() -> Problem:
    return Problem(
        "unavailable",
        "Other calls write the same external ids at this very moment; try again",
        retry_after_s=1,
    )


def without_doubles(
    outcomes: Sequence[T | Problem], external_ids: Callable[[T], str | None], taken: Mapping[str, str]
) -> list[T | Problem]:
    """With a problem in the place of what has an external id that is taken, also by an item before it."""
    first: dict[str, int] = {}
    found: list[T | Problem] = []
    for at, outcome in enumerate(outcomes):
        external_id = None if isinstance(outcome, Problem) else external_ids(outcome)
        if external_id is None:
            found.append(outcome)
        elif external_id in taken:
            found.append(external_id_taken(taken[external_id]))
        else:
            before = first.setdefault(external_id, at)
            found.append(outcome if before == at else _taken_by_item(before))
    return found


def _taken_by_item(at: int) -> Problem:
    return Problem(
        "external_id_taken",
        "Another item of this call has this external_id; each can be given once",
        {"external_id": f"Taken by item {at}"},
    )


def require_all(outcomes: Iterable[object], name: str) -> None:
    """For a call of all or none; raises validation_error with the faults of all items."""
    faults: dict[str, str] = {}
    for at, outcome in enumerate(outcomes):
        if isinstance(outcome, Problem):
            faults |= {_path(name, at, path): sentence for path, sentence in _faults(outcome).items()}
        if len(faults) >= FAULTS_MAX:
            break
    if faults:
        raise validation_error(dict([*faults.items()][:FAULTS_MAX]))


def _faults(problem: Problem) -> dict[str, str]:
    if problem.code == "validation_error" and problem.details:
        return {path: str(sentence) for path, sentence in problem.details.items()}
    return {"external_id" if problem.code == "external_id_taken" else "": problem.message}


def _path(name: str, at: int, path: str) -> str:
    return f"{name}[{at}].{path}" if path else f"{name}[{at}]"


def bulk_answer(kind: str, results: Sequence[bytes | Problem]) -> Answer:
    """``results`` are created objects as JSON, or why an item came to nothing as it would be told by itself."""
    failed = sum(isinstance(result, Problem) for result in results)
    head = b'{"created":%d,"failed":%d,"results":[' % (len(results) - failed, failed)
    created = b'{"status":201,"%s":' % kind.encode()
    parts = chain.from_iterable(_result(created, result) for result in results)
    return Answer(body=b"".join([head, *islice(parts, 1, None), b"]}"]), headers=JSON)


def _result(created: bytes, result: bytes | Problem) -> tuple[bytes, bytes, bytes, bytes]:
    """In pieces, that a megabyte of them is put together only once; the first parts it from the result before."""
    if isinstance(result, bytes):
        return b",", created, result, b"}"
    refused = problem_answer(result)
    return b",", b'{"status":%d,"error":' % refused.status, refused.body, b"}"
