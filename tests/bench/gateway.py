"""What the gateway costs: beside a floor that does nothing but run its statements, and beside an ordinary peer."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import msgspec

from tests.bench.contenders import FLOORS, Contenders, opened_contenders
from tests.bench.results import Report, Result, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, generator, sliced
from tests.bench.stock import copied_drafts, request_body
from tests.bench.turns import Work, in_turns

DOCUMENTS = 200
# More than any contender can send in a slice.
DRAFTS = 3_000
PATH = "/v1/documents"
AGAINST = {
    "floor": "a bare ASGI function with the same statements on asyncpg's pool",
    "bare_floor": "the same on a pool that does not clean its connections",
    "fastapi": "FastAPI, Pydantic and SQLAlchemy",
}
NAMES = {
    "gateway": "our gateway",
    "floor": "the floor",
    "bare_floor": "the bare floor",
    "fastapi": "FastAPI",
}

# The rows of 99 of 100 calls' waits by the calls that have one, and all waits' words for people.
P99S = {
    "get_document": "p99",
    "list_documents": "list_documents_p99",
    "create_document": "create_document_p99",
}
WAITS = {
    "one_request_p50": "p50 of `GET /v1/documents/:id`, one at a time",
    "p99": f"p99 of `GET /v1/documents/:id`, {CONNECTIONS} connections",
    "list_documents_p99": f"p99 of `GET /v1/documents`, {CONNECTIONS} connections",
    "create_document_p99": f"p99 of `POST /v1/documents`, {CONNECTIONS} connections",
}

Found = Mapping[str, Sequence[Slice]]


class Measured(msgspec.Struct, frozen=True):
    """A kind of call, by its name in rows and its words for people, and each contender's slices."""

    name: str
    words: str
    found: Found


class Plan(msgspec.Struct, frozen=True):
    """How many turns a kind of call has, and how long they may take altogether."""

    turns: int
    seconds_max: float


# Altogether with what is set up, less than seven minutes.
READS = Plan(20, 90)
LISTS = Plan(15, 70)
CREATES = Plan(15, 70)
SENDS = Plan(12, 45)
SINGLES = Plan(15, 45)


async def measure() -> Report:
    async with opened_contenders(DOCUMENTS) as contenders:
        reads = [_request(contenders, "GET", f"{PATH}/{document}") for document in contenders.documents]
        measured = [
            await _measured(contenders, "get_document", "`GET /v1/documents/:id`", READS, reads),
            await _measured(
                contenders,
                "list_documents",
                "`GET /v1/documents`, 25 of them",
                LISTS,
                [_request(contenders, "GET", PATH)],
            ),
            await _measured(
                contenders, "create_document", "`POST /v1/documents`", CREATES, _creations(contenders)
            ),
            await _sends(contenders),
            await _singles(contenders, reads),
        ]
    return _report({each.name: each for each in measured})


async def _measured(
    contenders: Contenders, name: str, words: str, plan: Plan, requests: Sequence[Request]
) -> Measured:
    works = {contender: _work(Load(url=url, requests=requests)) for contender, url in contenders.urls.items()}
    return Measured(name, words, await in_turns(works, turns=plan.turns, seconds_max=plan.seconds_max))


async def _singles(contenders: Contenders, requests: Sequence[Request]) -> Measured:
    """One request at a time; nobody but the floors is compared with."""
    works = {
        name: _work(Load(url=contenders.urls[name], requests=requests, connections=1))
        for name in ("gateway", *FLOORS)
    }
    found = await in_turns(works, turns=SINGLES.turns, seconds_max=SINGLES.seconds_max)
    return Measured("one_request", "`GET /v1/documents/:id`, one at a time", found)


async def _sends(contenders: Contenders) -> Measured:
    """Each slice has drafts of its own, which are copied before its clock starts."""
    copies = iter(range(0, 10**9, DRAFTS))
    works = {
        name: _sending(contenders, contenders.urls[name], lambda: next(copies))
        for name in ("gateway", "floor")
    }
    found = await in_turns(works, turns=SENDS.turns, seconds_max=SENDS.seconds_max)
    return Measured("send_document", "`PUT /v1/documents/:id` to sent", found)


def _sending(contenders: Contenders, url: str, first: Callable[[], int]) -> Work:
    async def work() -> Slice:
        drafts = await copied_drafts(
            contenders.world.postgres.url,
            contenders.caller.account_id,
            contenders.draft,
            copies=DRAFTS,
            first=first(),
        )
        requests = [_request(contenders, "PUT", f"{PATH}/{draft}", b'{"status":"sent"}') for draft in drafts]
        return await sliced(Load(url=url, requests=requests))

    return work


def _work(load: Load) -> Work:
    return lambda: sliced(load)


def _request(contenders: Contenders, method: str, path: str, body: bytes = b"") -> Request:
    return Request(method, path, contenders.caller.key, body)


def _creations(contenders: Contenders) -> list[Request]:
    bodies = [request_body(contenders.caller.client_id, number) for number in range(DOCUMENTS)]
    return [
        _request(contenders, "POST", PATH, msgspec.json.encode({**body, "status": "draft"}))
        for body in bodies
    ]


def _report(measured: Mapping[str, Measured]) -> Report:
    rows = [row for each in measured.values() for row in _rows(each)]
    text = f"""\
One gateway process with its real keys, limits, counting and logs, and the processes that it needs, on the machine's
cores together with both stores and the load generator, which is {generator()}. Each kind of call has its turns, of one
slice of a second for each contender, in an order by chance, and before each turn a wait for a quiet machine; a
ratio is of the slices of one turn, of calls a second where nothing else is said, and the one that is told is the median
of all. There are {CONNECTIONS} keep-alive connections, but for calls one at a time, which have one, and {DOCUMENTS}
documents of three lines, in every status, of one account.

- *The floor* is [a bare ASGI function](../tests/bench/floor.py) on the same uvicorn, uvloop and HTTP parser, with
  asyncpg's pool as it comes. It runs the statements that the gateway runs for the call and writes the bytes: no
  framework, no key, no limit, no count, no check and no sum. Its pool cleans a connection that is given back by a query
  of its own, which is a round trip more on each call; the gateway's pool does without, since nothing in its sessions
  outlives a transaction. It is what the bounds are for.
- *The bare floor* is the same function on the gateway's own pool, so that the gateway has no advantage over it at all.
  It is told and not judged.
- *FastAPI* is [the same API](../tests/bench/peer) with FastAPI, Pydantic and SQLAlchemy's asynchronous ORM on asyncpg,
  as a good team would write it without having speed in mind: the key is looked up in the database, and calls are
  counted in Redis.

| call | who | calls a second | p50 ms | p99 ms | ours against it | lowest to highest |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
{"".join(map(_lines, measured.values()))}
How long our calls take against those of the floors; above 1 is longer:

| | against | times as long | lowest to highest |
| --- | --- | ---: | ---: |
{"".join(_wait_line(row) for row in rows if _is_wait(row))}
Creates are of drafts with three lines. Sends are of drafts that were made before. Each takes the next number of the
account's one sequence, which is locked until the document that took it is safely on the disk: in both, calls wait for
one another and for the disk, and both wait alike.
"""
    return Report("the gateway beside a floor and a peer", text, tuple(rows))


def _is_wait(row: Result) -> bool:
    return "p50_vs" in row.name or "p99_vs" in row.name


def _wait_line(row: Result) -> str:
    words, _, other = row.name.partition("_vs_")
    low, high = row.spread
    return f"| {WAITS[words]} | {NAMES[other]} | {row.ratio:.2f} | {low:.2f} to {high:.2f} |\n"


def _rows(measured: Measured) -> list[Result]:
    """One against each of the others, and each wait; one request at a time is judged by its wait alone."""
    name, found = measured.name, measured.found
    others = [other for other in AGAINST if other in found]
    if name == "one_request":
        return [_row(f"{name}_p50", found, other, _p50) for other in others]
    rows = [_row(name, found, other, _per_s) for other in others]
    if waits := P99S.get(name):
        rows += [_row(waits, found, other, _p99) for other in others if other in FLOORS]
    return rows


def _row(name: str, found: Found, other: str, figure: Callable[[Slice], float]) -> Result:
    return result_of(f"{name}_vs_{other}", _ratios(found, other, figure), AGAINST[other])


def _lines(measured: Measured) -> str:
    return "".join(_line(measured, name) for name in measured.found)


def _line(measured: Measured, name: str) -> str:
    slices = measured.found[name]
    figures = " | ".join(
        (
            f"{median(map(_per_s, slices)):,.0f}",
            f"{median(map(_p50, slices)):.2f}",
            f"{median(map(_p99, slices)):.2f}",
        )
    )
    return f"| {measured.words} | {NAMES[name]} | {figures} | {_against(measured, name)} |\n"


def _against(measured: Measured, name: str) -> str:
    if name == "gateway":
        return " | "
    ratios = _ratios(measured.found, name, _per_s)
    return f"{median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"


def _ratios(found: Found, name: str, figure: Callable[[Slice], float]) -> list[float]:
    """Ours against theirs, of each turn."""
    return [figure(ours) / figure(theirs) for ours, theirs in zip(found["gateway"], found[name], strict=True)]


def _per_s(slice_: Slice) -> float:
    return slice_.per_s


def _p50(slice_: Slice) -> float:
    return slice_.p50_ms


def _p99(slice_: Slice) -> float:
    return slice_.p99_ms
