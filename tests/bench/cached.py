"""What a PDF costs that was made before: its GET against that of the document, on one gateway, in turns."""

import gc
from statistics import median

import msgspec
from load import DOCUMENT, PDF, Caller, open_line

from tests.bench.invoice import invoice
from tests.bench.products import WholeWay, seller
from tests.bench.quiet import quiet
from tests.bench.results import Report, Result, result_of
from tests.bench.wrk import CONNECTIONS, calls_per_s
from tests.faults.world import Setup, World, opened_world

PAIRS = 12
SLICE_S = 1
AGAINST = "GET /v1/documents/:id"


class Way(msgspec.Struct, frozen=True):
    """Where the gateway takes the PDF from, on which settings."""

    row: str
    source: str
    environment: tuple[tuple[str, str], ...] = ()


WAYS = (
    Way("pdf_cached_vs_get", "the object store", (("PDF_CACHE_MB", "0"),)),
    Way("pdf_kept_vs_get", "the gateway's memory"),
)


class Pair(msgspec.Struct, frozen=True):
    """Calls a second, of one slice each."""

    pdf: float
    document: float


async def measure() -> Report:
    """The first GET of all has made the PDF; the gateway is started anew for each way."""
    async with opened_world() as world:
        await _arrange(world, WAYS[0])
        caller = await seller(world)
        size_bytes = await _make_pdf(world.urls[0], caller)
        found = {}
        for way in WAYS:
            await _arrange(world, way)
            found[way] = await _pairs(world.urls[0], caller)
    return _report(found, size_bytes)


async def _arrange(world: World, way: Way) -> None:
    await world.arrange(Setup(gateways=1, renderer=True, environment=way.environment))


async def _pairs(gateway: str, caller: Caller) -> list[Pair]:
    """In turns, as admission is, after a slice of each that does not count."""
    for kind in (PDF, DOCUMENT):
        await calls_per_s(gateway, caller, seconds=SLICE_S, kind=kind)
    gc.collect()
    pairs: list[Pair] = []
    for number in range(PAIRS):
        await quiet()
        turns = (PDF, DOCUMENT) if number % 2 else (DOCUMENT, PDF)
        found = {kind: await calls_per_s(gateway, caller, seconds=SLICE_S, kind=kind) for kind in turns}
        pairs.append(Pair(found[PDF], found[DOCUMENT]))
    return pairs


async def _make_pdf(gateway: str, caller: Caller) -> int:
    """Give the caller an invoice that has been printed; its size."""
    way = WholeWay(gateway, caller)
    [caller.document_id] = await way.posted([invoice(1)])
    line = await open_line(gateway)
    pdf = await way.pdf(line, caller.document_id)
    line.close()
    return len(pdf)


def _report(found: dict[Way, list[Pair]], size_bytes: int) -> Report:
    results = {
        way: result_of(way.row, [pair.pdf / pair.document for pair in pairs], AGAINST)
        for way, pairs in found.items()
    }
    rows = "\n".join(_row(way, pairs, results[way]) for way, pairs in found.items())
    text = f"""\
A PDF of {size_bytes / 1000:.0f} kB that was made before, and its document from the database. The PDF is read from the
object store each time (`PDF_CACHE_MB=0`; the store is a folder), or kept in the gateway's memory (as it is without the
setting). Calls a second on {CONNECTIONS} keep-alive connections, medians of {PAIRS} pairs of {SLICE_S} s, in turns:

| the PDF comes from | row | `GET …/:id/pdf` | `GET …/:id` | ratio of a pair |
| --- | --- | ---: | ---: | --- |
{rows}
"""
    return Report("a PDF asked for again", text, tuple(results.values()))


def _row(way: Way, pairs: list[Pair], result: Result) -> str:
    low, high = result.spread
    pdf, document = median(pair.pdf for pair in pairs), median(pair.document for pair in pairs)
    ratio = f"{result.ratio:.2f}, from {low:.2f} to {high:.2f}"
    return f"| {way.source} | `{way.row}` | {pdf:,.0f} | {document:,.0f} | {ratio} |"
