"""Creating many documents or clients in one call, against creating each by itself; and what others notice of it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

import asyncpg
import msgspec
from load import Caller, Kind, open_line

from services.api.lane import PLACES_OF_ACCOUNT as BULK_CONNECTIONS
from tests.bench.contenders import LIMITS
from tests.bench.results import Report, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, generator, sliced
from tests.bench.stock import client_body, post_documents, request_body
from tests.bench.turns import Work, hushed, in_turns
from tests.faults.world import Setup, World, opened_world

LIVE = Kind("GET", lambda _: "/health/live")
SIZES = (1_000, 200)
# Of each connection in a slice: so many that its beginning and its end, when few calls are at work, hardly count.
ITEMS_A_LINE = 6_000
STALL_MS_MAX = 20.0
SINGLES = "single creates"
SINGLE_CLIENTS, BULK_CLIENTS = "single creates of clients", "1,000 clients a call"


class Made(msgspec.Struct, frozen=True):
    """What is created: under which name a call of many holds it, and the body of each."""

    name: str
    body: Callable[[Caller, int], dict[str, object]]

    @property
    def path(self) -> str:
        return f"/v1/{self.name}"


class Stalls(msgspec.Struct, frozen=True):
    """Milliseconds that a call waits which needs nothing but the event loop."""

    p50: float
    p99: float
    most: float


async def measure() -> Report:
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        caller = await world.caller(LIMITS)
        await post_documents(world.urls[0], caller, 1)
        found = await in_turns(_works(world, caller), turns=9, seconds_max=120)
        alone = await _least_stalls(world, caller, loaded=False)
        beside = await _least_stalls(world, caller, loaded=True)
    return _report(found, alone, beside)


def _works(world: World, caller: Caller) -> dict[str, Work]:
    works = {SINGLES: _singles(world, caller, DOCUMENTS)}
    works |= {_name(size): _bulk(world, caller, DOCUMENTS, size) for size in SIZES}
    works |= {SINGLE_CLIENTS: _singles(world, caller, CLIENTS)}
    works |= {BULK_CLIENTS: _bulk(world, caller, CLIENTS, SIZES[0])}
    return {name: _on_empty(world, work) for name, work in works.items()}


def _on_empty(world: World, work: Work) -> Work:
    """Each slice inserts into a table that is empty, so that none has more of it to read than another."""

    async def emptied() -> Slice:
        connection = await asyncpg.connect(world.postgres.url)
        try:
            await connection.execute("truncate api.documents")
        finally:
            await connection.close()
        return await work()

    return emptied


def _name(size: int) -> str:
    return f"{size:,} a call"


def _singles(world: World, caller: Caller, made: Made) -> Work:
    bodies = [msgspec.json.encode(made.body(caller, number)) for number in range(200)]
    requests = [Request("POST", made.path, caller.key, body) for body in bodies]
    load = Load(url=world.urls[0], requests=requests, connections=CONNECTIONS, seconds=2)
    return lambda: sliced(load)


def _document(caller: Caller, number: int) -> dict[str, object]:
    return {**request_body(caller.client_id, number), "status": "draft"}


def _client(_: Caller, number: int) -> dict[str, object]:
    return {**client_body(number)}


DOCUMENTS, CLIENTS = Made("documents", _document), Made("clients", _client)


def _bulk(world: World, caller: Caller, made: Made, size: int) -> Work:
    """``per_s`` are what is made; each line makes as many calls as it has to."""
    kind = _bulk_of(caller, made, size)

    async def work() -> Slice:
        began = time.perf_counter()
        lines = (_post(world, caller, kind, ITEMS_A_LINE // size) for _ in range(BULK_CONNECTIONS))
        waits = [wait for line in await asyncio.gather(*lines) for wait in line]
        per_s = BULK_CONNECTIONS * ITEMS_A_LINE / (time.perf_counter() - began)
        return Slice(per_s, median(waits), max(waits))

    return work


def _bulk_of(caller: Caller, made: Made, size: int) -> Kind:
    body = msgspec.json.encode({made.name: [made.body(caller, number) for number in range(size)]})
    return Kind("POST", lambda _: f"{made.path}/bulk", lambda _: body)


async def _post(world: World, caller: Caller, kind: Kind, calls: int) -> list[float]:
    line, waits = await open_line(world.urls[0]), list[float]()
    for _ in range(calls):
        began = time.perf_counter()
        assert await line.call(caller, kind) == 200, line.body[:500]
        assert b'"failed":0,' in line.body[:100]
        waits.append((time.perf_counter() - began) * 1000)
    line.close()
    return waits


async def _least_stalls(world: World, caller: Caller, *, loaded: bool) -> Stalls:
    """Of three rounds the one with the least, for whatever else the machine does only adds to it."""
    rounds: list[Stalls] = []
    for _ in range(3):
        await hushed()
        rounds.append(await _stalls(world, caller, loaded=loaded))
    return min(rounds, key=lambda each: each.p99)


async def _stalls(world: World, caller: Caller, *, loaded: bool) -> Stalls:
    """One call at a time, with a rest after each; ``loaded`` with bulks beside it all the while."""
    beside = _bulk(world, caller, DOCUMENTS, SIZES[0])() if loaded else asyncio.sleep(2)
    work = asyncio.ensure_future(beside)
    line, waits = await open_line(world.urls[0]), list[float]()
    while not work.done():
        began = time.perf_counter()
        assert await line.call(caller, LIVE) == 200
        waits.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.002)
    await work
    line.close()
    return Stalls(median(waits), quantiles(waits, n=100)[98], max(waits))


def _report(found: Mapping[str, Sequence[Slice]], alone: Stalls, beside: Stalls) -> Report:
    ratios = {size: _ratios(found, _name(size), SINGLES) for size in SIZES}
    text = f"""\
Drafts of three lines, and clients, through one gateway process with its database and Redis, in turns: each by
itself over {CONNECTIONS} connections of {generator()}, and many a call over {BULK_CONNECTIONS} of our own
asyncio client, as many as an account may have at work. Each slice of documents begins on an empty table.

| | documents or clients a second | call p50 ms | against single creates |
| --- | ---: | ---: | ---: |
{"".join(_line(found, name, _single_of(name)) for name in found)}
A call that needs nothing but the event loop takes {alone.p50:.1f} ms (p99 {alone.p99:.1f}, most {alone.most:.1f}) while
nothing else is done, and {beside.p50:.1f} ms (p99 {beside.p99:.1f}, most {beside.most:.1f}) beside {BULK_CONNECTIONS}
connections that send {SIZES[0]:,} documents a call, all on the same cores. The bound is {STALL_MS_MAX:.0f} ms for the
p99.
"""
    missed = f"Beside bulks other calls wait {beside.p99:.1f} ms; {STALL_MS_MAX:.0f} is the most."
    results = (
        result_of("bulk_create_vs_single", ratios[SIZES[0]], SINGLES),
        result_of("bulk_create_200_vs_single", ratios[SIZES[1]], SINGLES),
        result_of(
            "bulk_create_clients_vs_single", _ratios(found, BULK_CLIENTS, SINGLE_CLIENTS), SINGLE_CLIENTS
        ),
    )
    return Report(
        "creating many documents in one call", text, results, (missed,) if beside.p99 > STALL_MS_MAX else ()
    )


def _single_of(name: str) -> str:
    return SINGLE_CLIENTS if name in (SINGLE_CLIENTS, BULK_CLIENTS) else SINGLES


def _ratios(found: Mapping[str, Sequence[Slice]], name: str, single: str) -> list[float]:
    return [many.per_s / alone.per_s for many, alone in zip(found[name], found[single], strict=True)]


def _line(found: Mapping[str, Sequence[Slice]], name: str, single: str) -> str:
    slices, ratios = found[name], _ratios(found, name, single)
    per_s, p50_ms = (median(each) for each in zip(*((one.per_s, one.p50_ms) for one in slices), strict=True))
    return f"| {name} | {per_s:,.0f} | {p50_ms:.1f} | {median(ratios):.1f} |\n"
