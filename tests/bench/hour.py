"""An hour of ordinary calls of all kinds on one gateway, at a bounded rate, and what its memory comes to."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from statistics import fmean, linear_regression, median

import asyncpg
import msgspec
import psutil
from load import CREATE, DOCUMENT, GONE, PDF, UPDATE, Caller, Kind, Line, open_line

from services.api.auth import new_key
from services.api.store.ids import new_id
from tests.bench.memory import MB
from tests.bench.results import Report
from tests.bench.stock import insert_accounts, request_body
from tests.bench.streams import pieces
from tests.faults.rounds import furnish
from tests.faults.world import Setup, World, opened_world

MINUTES = float(os.environ.get("HOUR_MINUTES", "60"))
SAMPLES = 60
PARTS = 6
ACCOUNTS = 64
LINES = 48
CALLS_PER_S = 300
# A connection is closed after so many calls, as callers come and go.
CALLS_A_LINE = 500
RSS_MB_MAX = 120.0
# What a fitted line may rise over the second half, as a share of its mean.
GROWTH_MAX = 0.05
# What a gateway answers that cannot serve all: told, and not judged, for it is the machine's.
BUSY = 503
UNEXPECTED_MAX = 0.001
# A machine that is too busy for this share of the rate has not shown what the rate does to memory.
RATE_SHARE_MIN = 0.9
PATH = "/v1/documents"
BULKS = (10, 10, 10, 50, 50, 200, 1_000)
FILTERS: tuple[Callable[[], str], ...] = (
    lambda: "",
    lambda: (
        f"?type={random.choice(('invoice', 'quote', 'receipt'))}&status={random.choice(('draft', 'sent'))}"
    ),
    lambda: f"?per_page={random.randint(1, 100)}&page={random.randint(1, 5)}",
    lambda: f"?min_total={random.randint(1, 9_000)}&sort={random.choice(('', '-'))}total",
    lambda: f"?issued_from=2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
    lambda: f"?q={random.choice(('acme', 'bank+transfer', 'invoice+number', f'Changed+{random.random()}'))}",
    lambda: f"?currency={random.choice(('USD', 'EUR', 'JPY'))}&sort=-updated_at",
    lambda: f"?external_id={new_id('doc')}",
)

Odd = dict[tuple[str, int], int]
Ask = Callable[[Line, Caller], Awaitable[int]]


class Step(msgspec.Struct, frozen=True):
    """A kind of call, how many of a thousand are of it, and the status that it has when all is well."""

    words: str
    share: int
    status: int
    ask: Ask


class Sample(msgspec.Struct, frozen=True):
    """Memory of one process: what is resident, and its share of that as Linux has it (PSS)."""

    rss_mb: float
    pss_mb: float


class Moment(msgspec.Struct, frozen=True):
    """``minutes`` since the start and the calls until then."""

    minutes: float
    calls: int
    gateway: Sample
    metering: Sample


class Growth(msgspec.Struct, frozen=True):
    """Of one process: at the end, and what a fitted line rises over the second half, against that half's mean."""

    name: str
    end_mb: float
    rise_mb: float
    mean_mb: float


def _asking(kind: Kind) -> Ask:
    return lambda line, caller: line.call(caller, kind)


async def _send(line: Line, caller: Caller) -> int:
    """A draft of its own."""
    assert await line.call(caller, CREATE) == 201, line.body
    path = f"{PATH}/{msgspec.json.decode(line.body)['id']}"
    return await line.call(caller, Kind("PUT", lambda _: path, lambda _: b'{"status":"sent"}'))


async def _stranger(line: Line, _: Caller) -> int:
    """A key that nobody has, and never the same."""
    return await line.call(Caller("", new_key()), LIST)


def _bulk(caller: Caller) -> bytes:
    size = random.choice(BULKS)
    bodies = [{**request_body(caller.client_id, number), "status": "draft"} for number in range(size)]
    return msgspec.json.encode({"documents": bodies})


LIST = Kind("GET", lambda _: PATH + random.choice(FILTERS)())
STEPS = (
    Step("`GET` of a document", 400, 200, _asking(DOCUMENT)),
    Step("lists by varied filters", 250, 200, _asking(LIST)),
    Step("creates", 120, 201, _asking(CREATE)),
    Step("changes of a draft", 100, 200, _asking(UPDATE)),
    Step("creates that are sent then", 50, 200, _send),
    Step("reads of what is not there", 30, 404, _asking(Kind("GET", lambda _: f"{PATH}/{new_id('doc')}"))),
    Step("bodies with errors", 20, 422, _asking(Kind("POST", lambda _: PATH, lambda _: b'{"items":[{}]}'))),
    Step("unknown keys", 15, 401, _stranger),
    Step("unknown parameters", 10, 400, _asking(Kind("GET", lambda _: f"{PATH}?{new_id('doc')}=1"))),
    Step("bulks of 10 to 1,000", 2, 200, _asking(Kind("POST", lambda _: f"{PATH}/bulk", _bulk))),
    Step("PDFs", 3, 200, _asking(PDF)),
)
STREAM_S = 10.0


async def measure() -> Report:
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1, renderer=True))
        callers = await _callers(world)
        seen: Counter[tuple[str, int]] = Counter()
        loading = [asyncio.create_task(_keep_calling(world, callers, at, seen)) for at in range(LINES)]
        loading.append(asyncio.create_task(_keep_streaming(world, callers, seen)))
        try:
            moments = await _watched(world, seen)
        finally:
            for task in loading:
                task.cancel()
            await asyncio.gather(*loading, return_exceptions=True)
    return report(moments, seen)


async def _callers(world: World) -> list[Caller]:
    connection = await asyncpg.connect(world.postgres.url)
    try:
        callers = await insert_accounts(connection, ACCOUNTS)
    finally:
        await connection.close()
    await asyncio.gather(*(furnish(world.urls[0], caller) for caller in callers))
    return callers


async def _keep_calling(
    world: World, callers: Sequence[Caller], at: int, seen: Counter[tuple[str, int]]
) -> None:
    """One connection after the other; what cannot keep the rate is late and does not catch up."""
    pause_s, shares = LINES / CALLS_PER_S, [step.share for step in STEPS]
    await asyncio.sleep(pause_s * at / LINES)
    due = time.monotonic()
    while True:
        line = await open_line(world.urls[0])
        for _ in range(CALLS_A_LINE):
            [step] = random.choices(STEPS, shares)
            try:
                seen[step.words, await step.ask(line, random.choice(callers))] += 1
            except GONE:
                seen[step.words, 0] += 1
                break
            due = max(due + pause_s, time.monotonic() - pause_s)
            await asyncio.sleep(due - time.monotonic())
        line.close()


async def _keep_streaming(world: World, callers: Sequence[Caller], seen: Counter[tuple[str, int]]) -> None:
    for turn in count():
        form = ("ndjson", "csv")[turn % 2]
        async for _ in pieces(world.urls[0], callers[turn % len(callers)], f"export.{form}"):
            pass
        seen["whole lists in one answer", 200] += 1
        await asyncio.sleep(STREAM_S)


async def _watched(world: World, seen: Counter[tuple[str, int]]) -> list[Moment]:
    """A moment at each sixtieth of the time, beginning with one before it."""
    began, moments = time.monotonic(), list[Moment]()
    for number in range(SAMPLES + 1):
        await asyncio.sleep(max(0, began + number * MINUTES * 60 / SAMPLES - time.monotonic()))
        minutes = (time.monotonic() - began) / 60
        sizes = [
            await asyncio.to_thread(_sample, each.process_id) for each in (world.gateways[0], world.metering)
        ]
        moments.append(Moment(minutes, seen.total(), *sizes))
    return moments


def _sample(process_id: int | None) -> Sample:
    full = psutil.Process(process_id).memory_full_info()
    return Sample(full.rss / MB, full.pss / MB)


def report(moments: Sequence[Moment], seen: Counter[tuple[str, int]]) -> Report:
    grown = [
        _growth("The gateway", moments, [moment.gateway.rss_mb for moment in moments]),
        _growth("Metering", moments, [moment.metering.rss_mb for moment in moments]),
    ]
    length = (len(moments) - 1) // PARTS
    parts = [moments[1 + at * length : 1 + (at + 1) * length] for at in range(PARTS)]
    statuses = {step.words: step.status for step in STEPS}
    odd = {key: n for key, n in seen.items() if key[1] != statuses.get(key[0], 200)}
    per_s = seen.total() / moments[-1].minutes / 60
    missed = (*_missed(grown), *_missed_calls(odd, seen.total()), *_missed_rate(per_s))
    kinds = "\n".join(f"- {step.words}: {step.share / 10:g} %" for step in STEPS)
    text = f"""\
`make bench ARGS=hour`: one gateway with its renderer and metering, {moments[-1].minutes:.0f} minutes of
{seen.total():,} calls, {per_s:.0f} a second where {CALLS_PER_S} are wanted, by {LINES} connections of our own
asyncio client over {ACCOUNTS} accounts; each connection is replaced after {CALLS_A_LINE} calls. Every
{STREAM_S:.0f} s it reads an account's whole list in one answer beside them. Before, the gateway took
{moments[0].gateway.rss_mb:.0f} MB of resident memory (RSS). The calls, by chance:

{kinds}

| minutes | calls | gateway RSS, MB | most | gateway PSS, MB | metering RSS, MB |
| --- | ---: | ---: | ---: | ---: | ---: |
{"".join(map(_line, parts))}
{" ".join(map(_words, grown))}
The bounds are {RSS_MB_MAX:.0f} MB at the end, and {GROWTH_MAX:.0%} over the second half. {_told(odd)}

{f"Not kept: {' '.join(missed)}" if missed else "All bounds were kept."}
"""
    return Report("an hour of load", text, missed=missed)


def _growth(name: str, moments: Sequence[Moment], sizes_mb: Sequence[float]) -> Growth:
    half = len(moments) // 2
    times, late = [moment.minutes for moment in moments[half:]], sizes_mb[half:]
    slope = linear_regression(times, late).slope
    return Growth(name, late[-1], slope * (times[-1] - times[0]), fmean(late))


def _line(part: Sequence[Moment]) -> str:
    sizes = [moment.gateway for moment in part]
    figures = (
        f"{part[-1].calls:,}",
        f"{median(size.rss_mb for size in sizes):.1f}",
        f"{max(size.rss_mb for size in sizes):.1f}",
        f"{median(size.pss_mb for size in sizes):.1f}",
        f"{median(moment.metering.rss_mb for moment in part):.1f}",
    )
    return f"| to {part[-1].minutes:.0f} | {' | '.join(figures)} |\n"


def _words(growth: Growth) -> str:
    return (
        f"{growth.name}: {growth.end_mb:.1f} MB at the end; a line fitted to the second half changes by "
        f"{growth.rise_mb:+.1f} MB, {growth.rise_mb / growth.mean_mb:+.1%} of its mean."
    )


def _told(odd: Odd) -> str:
    if not odd:
        return "Each call ended as it should."
    told = ", ".join(f"{words}: {status}, {n:,} times" for (words, status), n in odd.items())
    return f"Calls that ended otherwise than they should: {told}."


def _missed(grown: Sequence[Growth]) -> list[str]:
    return [
        *(
            f"{each.name} takes {each.end_mb:.1f} MB at the end; {RSS_MB_MAX:.0f} is the most."
            for each in grown
            if each.end_mb >= RSS_MB_MAX
        ),
        *(
            f"{each.name} rises by {each.rise_mb:.1f} MB over the second half; {GROWTH_MAX:.0%} is the most."
            for each in grown
            if each.rise_mb > GROWTH_MAX * each.mean_mb
        ),
    ]


def _missed_calls(odd: Odd, calls: int) -> list[str]:
    wrong = sum(n for (_, status), n in odd.items() if status != BUSY)
    if wrong <= UNEXPECTED_MAX * calls:
        return []
    return [f"{wrong:,} of {calls:,} calls ended otherwise than they should."]


def _missed_rate(per_s: float) -> list[str]:
    if per_s >= RATE_SHARE_MIN * CALLS_PER_S:
        return []
    return [f"{per_s:.0f} calls a second were made; {RATE_SHARE_MIN * CALLS_PER_S:.0f} is the least."]
