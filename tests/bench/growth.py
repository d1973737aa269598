"""What a full database costs: the same calls on accounts with few and with very many documents, in turns."""

import base64
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from statistics import median

import msgspec
from load import Caller, Kind, Line, open_line

from tests.bench.population import (
    ACCOUNTS,
    EACH,
    LARGE,
    LARGEST,
    SMALL,
    Populated,
    Population,
    opened_populations,
)
from tests.bench.results import Report, Result, result_of
from tests.bench.turns import hushed

ROUNDS = 25
CALLS = 16
WARM_UP = 40
SECONDS_MAX = 120.0
FAR_CALLS = 21
FAR_PAGE = 40_000
FAR_MS_MAX = 100.0
PATH = "/v1/documents"
FILTERS = (
    "type=invoice",
    "type=purchase_order",
    "status=draft",
    "status=sent",
    "status=overdue",
    "status=paid",
    "status=cancelled",
    "type=invoice&status=overdue",
    "type=quote&status=paid",
)
AGAINST = "the same call on an account with 1,000 documents"


class Ask(msgspec.Struct, frozen=True):
    """A call by its words in the table; its path for one of the ids of an account that has so many documents."""

    words: str
    path: Callable[[Sequence[str], Random], str]
    documents_min: int = 0


def _list(query: str, documents_min: int = 0) -> Ask:
    path = f"{PATH}?{query}" if query else PATH
    return Ask(f"list, {query or 'newest'}".replace("&", ", "), lambda _ids, _chance: path, documents_min)


READ = Ask("one of them, any", lambda ids, chance: f"{PATH}/{chance.choice(ids)}")
NEWEST = _list("")
FILTERED = tuple(_list(each, SMALL) for each in FILTERS)
ASKS = (
    READ,
    NEWEST,
    _list("page=2"),
    _list("page=400", LARGE),
    Ask("list, cursor in its middle", lambda ids, _chance: f"{PATH}?cursor={_cursor(ids[len(ids) // 2])}"),
    *FILTERED,
)

# Of each call, by the populations' names: the median of each round in milliseconds.
Times = Mapping[str, Mapping[str, Sequence[float]]]


def _cursor(document_id: str) -> str:
    return base64.urlsafe_b64encode(document_id.encode()).decode().rstrip("=")


async def measure() -> Report:
    began = time.monotonic()
    async with opened_populations() as populated:
        filled_s = time.monotonic() - began
        times = await _times(populated)
        far_ms = await _far(populated)
    return _report(populated, times, far_ms, filled_s)


async def _times(populated: Populated) -> Times:
    """Call by call from population to population; every account has been called before it is measured."""
    line, chance = await open_line(populated.gateway), Random(2)
    times = {ask.words: {each.name: list[float]() for each in _able(populated, ask)} for ask in ASKS}
    for population in populated.populations:
        for caller in (*population.callers, *[population.callers[0]] * WARM_UP):
            await _timed(line, caller, PATH)
    gc.collect()
    end = time.monotonic() + SECONDS_MAX
    for _ in _rounds(end):
        await hushed()
        for ask in ASKS:
            for name, found in (await _round(line, ask, _able(populated, ask), chance)).items():
                times[ask.words][name].append(found)
    line.close()
    return times


def _rounds(end: float) -> Iterator[int]:
    for number in range(ROUNDS):
        if time.monotonic() > end:
            return
        yield number


def _able(populated: Populated, ask: Ask) -> list[Population]:
    return [each for each in populated.populations if each.documents >= ask.documents_min]


async def _round(line: Line, ask: Ask, populations: Sequence[Population], chance: Random) -> dict[str, float]:
    """The median of some calls for each."""
    found: dict[str, list[float]] = {population.name: [] for population in populations}
    for _ in range(CALLS):
        for population in chance.sample(populations, len(populations)):
            caller = chance.choice(population.callers)
            path = ask.path(population.ids[caller.account_id], chance)
            found[population.name].append(await _timed(line, caller, path))
    return {name: median(each) for name, each in found.items()}


async def _far(populated: Populated) -> float:
    """The last page of the largest account, in milliseconds."""
    line = await open_line(populated.gateway)
    [largest] = (each for each in populated.populations if each.documents == LARGEST)
    await hushed()
    found = [await _timed(line, largest.callers[0], f"{PATH}?page={FAR_PAGE}") for _ in range(1 + FAR_CALLS)]
    line.close()
    return median(found[1:])


async def _timed(line: Line, caller: Caller, path: str) -> float:
    kind = Kind("GET", lambda _: path)
    began = time.perf_counter()
    status = await line.call(caller, kind)
    seconds = time.perf_counter() - began
    assert status == 200, line.body
    return seconds * 1000


def _report(populated: Populated, times: Times, far_ms: float, filled_s: float) -> Report:
    names = [population.name for population in populated.populations]
    rounds = len(times[READ.words][names[0]])
    results = (
        _result("get_document_1m_vs_1k", times[READ.words]),
        _result("list_documents_1m_vs_1k", times[NEWEST.words]),
        max((_result("filters_1m_vs_1k", times[ask.words]) for ask in FILTERED), key=lambda each: each.ratio),
    )
    size_gb = populated.size_bytes / 10**9
    text = f"""\
One database with an account of {SMALL:,} documents, one of {LARGE:,}, one of {LARGEST:,},
and {ACCOUNTS:,} accounts of {EACH} each. The documents and their indexes take {size_gb:.1f} GB,
and PostgreSQL's own cache is 128 MB; to fill it took {filled_s:.0f} s. The smallest account was posted
through the gateway: five types, every status, four currencies, and due dates before and after today. The others hold
copies of its documents under ids and numbers of their own, inserted by SQL with all triggers on and counted by them.
Then the indexes were made and the tables vacuumed.

Milliseconds of a call on one keep-alive connection, as its caller sees them: the median of {rounds} rounds' medians of
{CALLS} calls, which go from account to account in an order by chance. The ratio is of an account with
{LARGEST:,} documents to one with {SMALL:,}, in the median of the rounds. Where nothing stands, an account has
too few documents for the same answer.

| call | {" | ".join(names)} | ratio | lowest to highest |
| --- | {"---: | " * len(names)}---: | ---: |
{"".join(_line(ask, times[ask.words], names) for ask in ASKS)}
Page {FAR_PAGE:,} of {LARGEST:,} documents, which skips all the others: {far_ms:.0f} ms; the bound is
{FAR_MS_MAX:.0f} ms.
"""
    missed = (f"Page {FAR_PAGE:,} takes {far_ms:.0f} ms; {FAR_MS_MAX:.0f} is the most.",)
    return Report("a full database", text, results, missed if far_ms > FAR_MS_MAX else ())


def _result(name: str, times: Mapping[str, Sequence[float]]) -> Result:
    return result_of(name, _ratios(times), AGAINST)


def _ratios(times: Mapping[str, Sequence[float]]) -> list[float]:
    return [large / small for large, small in zip(times[f"{LARGEST:,}"], times[f"{SMALL:,}"], strict=True)]


def _line(ask: Ask, times: Mapping[str, Sequence[float]], names: Sequence[str]) -> str:
    cells = [f"{median(times[name]):.2f}" if name in times else "" for name in names]
    return f"| {ask.words} | {' | '.join(cells)} | {_compared(times)} |\n"


def _compared(times: Mapping[str, Sequence[float]]) -> str:
    if f"{SMALL:,}" not in times:
        return " | "
    ratios = _ratios(times)
    return f"{median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"
