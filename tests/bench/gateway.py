"""What the gateway costs: beside a floor that does nothing but run its statements, and beside an ordinary peer."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import msgspec

from tests.bench.contenders import Contenders, opened_contenders
from tests.bench.results import Report, Result, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, sliced
from tests.bench.stock import copied_drafts, request_body
from tests.bench.turns import Work, in_turns

DOCUMENTS = 200
# More than any contender can send in a slice.
DRAFTS = 3_000
PATH = "/v1/documents"
FLOOR = "a bare ASGI function with the same statements"
PEER = "FastAPI, Pydantic and SQLAlchemy"
NAMES = {"gateway": "our gateway", "floor": "the floor", "fastapi": "FastAPI"}

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


READS = Plan(20, 75)
LISTS = Plan(15, 60)
CREATES = Plan(15, 60)
SENDS = Plan(12, 50)
SINGLES = Plan(15, 40)


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
    """One request at a time; nobody but the floor is compared with."""
    works = {
        name: _work(Load(url=contenders.urls[name], requests=requests, connections=1))
        for name in ("gateway", "floor")
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
cores together with both stores and the load generator. Each kind of call has its turns, of one slice of a second for
each contender, in an order that moves on, and before each turn a wait for a quiet machine; a ratio is of the slices of
one turn, of calls a second where nothing else is said, and the one that is told is the median of all. There are
{CONNECTIONS} keep-alive connections, but for the last two lines, and {DOCUMENTS} documents of three lines, in every
status, of one account.

- *The floor* is [a bare ASGI function](../tests/bench/floor.py) on the same server, loop, HTTP parser and pool of
  connections. It runs the statements that the gateway runs for the call and writes the bytes: no framework, no key, no
  limit, no count, no check and no sum.
- *FastAPI* is [the same API](../tests/bench/peer) with FastAPI, Pydantic and SQLAlchemy's asynchronous ORM on asyncpg,
  as a good team would write it without having speed in mind: the key is looked up in the database, and calls are
  counted in Redis.

| call | who | calls a second | p50 ms | p99 ms | ours against it | lowest to highest |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
{"".join(map(_lines, measured.values()))}
{_waits(rows)}
Creates are of drafts with three lines. Sends are of drafts that were made before. Each takes the next number of the
account's one sequence, which is locked until the document that took it is safely on the disk: in both, calls wait for
one another and for the disk, and both wait alike.
"""
    return Report("the gateway beside a floor and a peer", text, tuple(rows))


def _waits(rows: Sequence[Result]) -> str:
    p50, p99 = (_told(rows, name) for name in ("one_request_p50_vs_floor", "p99_vs_floor"))
    return f"""\
How long our `GET` of a document takes against the floor's: one at a time, its p50 is {p50};
with {CONNECTIONS} connections, its p99 is {p99}.
"""


def _told(rows: Sequence[Result], name: str) -> str:
    [row] = (row for row in rows if row.name == name)
    low, high = row.spread
    return f"{row.ratio:.2f} times as long, from {low:.2f} to {high:.2f}"


def _rows(measured: Measured) -> list[Result]:
    """One against each of the others; one request at a time is judged by its time and not by its number."""
    name, found = measured.name, measured.found
    if name == "one_request":
        return [result_of("one_request_p50_vs_floor", _ratios(found, "floor", _p50), FLOOR)]
    rows = [result_of(f"{name}_vs_floor", _ratios(found, "floor", _per_s), FLOOR)]
    if "fastapi" in found:
        rows.append(result_of(f"{name}_vs_fastapi", _ratios(found, "fastapi", _per_s), PEER))
    if name == "get_document":
        rows.append(result_of("p99_vs_floor", _ratios(found, "floor", _p99), FLOOR))
    return rows


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
