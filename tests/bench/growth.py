"""What a full database costs: the same calls on accounts with few and with very many documents, in turns."""

import base64
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from random import Random
from statistics import median
from urllib.parse import quote

import msgspec
from load import Caller, Kind, Line, open_line

from deploy.local.postgres import SETTINGS
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

ROUNDS = 15
CALLS = 8
WARM_UP = 40
SECONDS_MAX = 150.0
FAR_CALLS = 7
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
    "type=quote&status=sent",
    "type=quote&status=paid",
)
# Of each there are so many among a hundred thousand documents that page 400 is nearer to the beginning than to the end.
LONG = ("type=invoice", "status=overdue", "status=paid", "type=invoice&status=paid")
SORTS = ("created_at", "issued_date", "-due_date", "total", "-number", "-updated_at")
# How deep a cursor stands, as a share of all.
DEPTHS = (0.01, 0.5, 0.99)
# By the page in the middle, which is the furthest from both ends.
FAR = ("", "sort=total", "sort=-number", "status=paid", "status=overdue", "status=sent")
SMALLEST = "the same call on the smallest account that can answer it"
AGAINST = "the same call on an account with 1,000 documents"


class Ask(msgspec.Struct, frozen=True):
    """A call by its words in the table; its path for some of an account's documents, of which there are so many.

    ``family`` is the row of results that it is judged in.
    """

    words: str
    path: Callable[[Sequence[str], Random], str]
    family: str
    documents_min: int = 0


def _list(family: str, query: str, documents_min: int = 0) -> Ask:
    path = f"{PATH}?{query}" if query else PATH
    words = f"list, {query or 'newest'}".replace("&", ", ")
    return Ask(words, lambda _ids, _chance: path, family, documents_min)


def _from_cursor(family: str, query: str, depth: float) -> Ask:
    def path(ids: Sequence[str], _chance: Random) -> str:
        document_id = ids[int((1 - depth) * (len(ids) - 1))]
        cursor = base64.urlsafe_b64encode(document_id.encode()).decode().rstrip("=")
        return f"{PATH}?{query}{'&' if query else ''}cursor={cursor}"

    words = f"list, {query or 'newest'}, cursor behind {depth:.0%}".replace("&", ", ")
    return Ask(words, path, family)


def _of_ids(ids: Sequence[str], chance: Random) -> str:
    return f"{PATH}?ids={','.join(chance.sample(ids, 25))}"


READ = Ask("one of them, any", lambda ids, chance: f"{PATH}/{chance.choice(ids)}", "get_document")
NEWEST = _list("list_documents", "")
FILTERED = tuple(_list("filters", each) for each in FILTERS)
ASKS = (
    READ,
    NEWEST,
    _list("list_documents", "page=2"),
    _list("page_400", "page=400", LARGE),
    *(_from_cursor("cursors", "", depth) for depth in DEPTHS),
    *FILTERED,
    *(_list("filtered_pages", f"{each}&page=4", LARGE) for each in FILTERS),
    *(_list("filtered_pages", f"{each}&page=400", LARGE) for each in LONG),
    *(_from_cursor("filtered_cursors", each, depth) for each in FILTERS[3:8] for depth in DEPTHS),
    *(_list("sorts", f"sort={each}", SMALL) for each in SORTS),
    *(_list("sorts", f"sort={each}&page=400", LARGE) for each in SORTS),
    Ask("list, ids of 25", _of_ids, "filters_of_few"),
    _list("filters_of_few", "number=INV-2020-000001", SMALL),
    _list("filters_of_few", "external_id=none", SMALL),
    _list("filters_of_few", "currency=KWD", SMALL),
    _list("filters_of_few", f"updated_since={quote('2990-01-01T00:00:00Z')}", SMALL),
    _list("filters_of_few", "q=nobody", SMALL),
    # What costs what it finds, up to the ten thousand that are counted: as much as that is in the smaller account too.
    *(
        _list("counted", each, LARGE)
        for each in (
            "currency=USD",
            "status=overdue&currency=USD",
            "min_total=1000",
            "sort=total&min_total=1000",
            "issued_from=2020-01-01",
            "sort=issued_date&issued_from=2020-01-01",
            "q=Acme",
            "q=Acme&status=paid",
        )
    ),
)

# Of each call, by the populations' names: the median of each round in milliseconds.
Times = Mapping[str, Mapping[str, Sequence[float]]]


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
        if number and time.monotonic() > end:
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


async def _far(populated: Populated) -> dict[str, float]:
    """The page in the middle of the largest account's lists, in milliseconds."""
    line = await open_line(populated.gateway)
    [largest] = (each for each in populated.populations if each.documents == LARGEST)
    caller, far_ms = largest.callers[0], dict[str, float]()
    for query in FAR:
        await _timed(line, caller, f"{PATH}?{query}")
        page = msgspec.json.decode(line.body)["pagination"]["total_pages"] // 2
        await hushed()
        found = [await _timed(line, caller, f"{PATH}?{query}&page={page}") for _ in range(1 + FAR_CALLS)]
        far_ms[f"{query or 'newest'}, page {page:,}".replace("&", ", ")] = median(found[1:])
    line.close()
    return far_ms


async def _timed(line: Line, caller: Caller, path: str) -> float:
    kind = Kind("GET", lambda _: path)
    began = time.perf_counter()
    status = await line.call(caller, kind)
    seconds = time.perf_counter() - began
    assert status == 200, line.body
    return seconds * 1000


def _report(populated: Populated, times: Times, far_ms: Mapping[str, float], filled_s: float) -> Report:
    names = [population.name for population in populated.populations]
    rounds = len(times[READ.words][names[0]])
    families = dict.fromkeys(ask.family for ask in ASKS)
    results = (
        _result("get_document_1m_vs_1k", times[READ.words]),
        _result("list_documents_1m_vs_1k", times[NEWEST.words]),
        max((_result("filters_1m_vs_1k", times[ask.words]) for ask in FILTERED), key=lambda each: each.ratio),
        *(_worst(family, times) for family in families),
    )
    size_gb = populated.size_bytes / 10**9
    text = f"""\
One database with an account of {SMALL:,} documents, one of {LARGE:,}, one of {LARGEST:,},
and {ACCOUNTS:,} accounts of {EACH} each. The documents and their indexes take {size_gb:.1f} GB, and
PostgreSQL's own cache is {SETTINGS["shared_buffers"]}; to fill it took {filled_s:.0f} s. The smallest account was
posted through the gateway: five types, every status, four currencies, issued over three years and due 14 to 30 days
later, so that the newest are not due yet, most of the old ones are paid and a tail of them is overdue. The others hold
copies of its documents under ids and numbers of their own, in the same order, inserted by SQL with all triggers on and
counted by them. Then the indexes were made and the tables vacuumed.

Milliseconds of a call on one keep-alive connection, as its caller sees them: the median of {rounds} rounds' medians of
{CALLS} calls, which go from account to account in an order by chance. Each ratio is of one column to that of the
smallest account that can answer, in the median of the rounds; the worst of them stands in the table, and the worst of a
family of calls is judged. Where nothing stands, an account has too few documents for the same answer. The lists of the
family *counted* cost what they find up to the 10,000 that are counted, and more where all of it is old; they are
compared from the first account that has so many.

| call | family | {" | ".join(names)} | worst ratio | lowest to highest |
| --- | --- | {"---: | " * len(names)}---: | ---: |
{"".join(_line(ask, times[ask.words], names) for ask in ASKS)}
The page in the middle of {LARGEST:,} documents, which skips half of its list (the bound is {FAR_MS_MAX:.0f} ms):

| list | ms |
| --- | ---: |
{"".join(f"| {words} | {ms:.0f} |{chr(10)}" for words, ms in far_ms.items())}"""
    missed = [
        f"{words} takes {ms:.0f} ms; {FAR_MS_MAX:.0f} is the most."
        for words, ms in far_ms.items()
        if ms > FAR_MS_MAX
    ]
    return Report("a full database", text, results, tuple(missed))


def _result(name: str, times: Mapping[str, Sequence[float]]) -> Result:
    return result_of(name, _ratios(times, f"{LARGEST:,}", f"{SMALL:,}"), AGAINST)


def _worst(family: str, times: Times) -> Result:
    """The column that is the furthest from its smallest, of all the family's calls."""
    found = chain.from_iterable(_compared(times[ask.words]) for ask in ASKS if ask.family == family)
    ratios = max(found, key=median)
    return result_of(f"{family}_vs_smallest", ratios, SMALLEST)


def _compared(times: Mapping[str, Sequence[float]]) -> list[list[float]]:
    """The ratios of each column to the smallest."""
    smallest = f"{SMALL:,}" if f"{SMALL:,}" in times else f"{LARGE:,}"
    return [_ratios(times, name, smallest) for name in times if name != smallest]


def _ratios(times: Mapping[str, Sequence[float]], name: str, smallest: str) -> list[float]:
    return [large / small for large, small in zip(times[name], times[smallest], strict=True)]


def _line(ask: Ask, times: Mapping[str, Sequence[float]], names: Sequence[str]) -> str:
    cells = [f"{median(times[name]):.2f}" if name in times else "" for name in names]
    ratios = max(_compared(times), key=median)
    told = f"{median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"
    return f"| {ask.words} | {ask.family} | {' | '.join(cells)} | {told} |\n"
