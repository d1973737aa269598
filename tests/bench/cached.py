"""What a PDF costs that is in the store already: its GET against that of the document, on one gateway, in turns."""

import gc
from statistics import median

import msgspec
from load import DOCUMENT, PDF, Caller, open_line

from tests.bench.invoice import invoice
from tests.bench.products import WholeWay, opened_product, seller
from tests.bench.quiet import quiet
from tests.bench.results import Report, result_of
from tests.bench.wrk import CONNECTIONS, calls_per_s

PAIRS = 12
SLICE_S = 1
AGAINST = "GET /v1/documents/:id"


class Pair(msgspec.Struct, frozen=True):
    """Calls a second, of one slice each."""

    pdf: float
    document: float


async def measure() -> Report:
    """In turns, as admission is; the first GET of all has made the PDF."""
    async with opened_product() as world:
        gateway, caller = world.urls[0], await seller(world)
        size_bytes = await _make_pdf(gateway, caller)
        for kind in (PDF, DOCUMENT):
            await calls_per_s(gateway, caller, seconds=SLICE_S, kind=kind)
        gc.collect()
        pairs: list[Pair] = []
        for number in range(PAIRS):
            await quiet()
            turns = (PDF, DOCUMENT) if number % 2 else (DOCUMENT, PDF)
            found = {kind: await calls_per_s(gateway, caller, seconds=SLICE_S, kind=kind) for kind in turns}
            pairs.append(Pair(found[PDF], found[DOCUMENT]))
    return _report(pairs, size_bytes)


async def _make_pdf(gateway: str, caller: Caller) -> int:
    """Give the caller an invoice that has been printed; its size."""
    way = WholeWay(gateway, caller)
    [caller.document_id] = await way.posted([invoice(1)])
    line = await open_line(gateway)
    pdf = await way.pdf(line, caller.document_id)
    line.close()
    return len(pdf)


def _report(pairs: list[Pair], size_bytes: int) -> Report:
    result = result_of("pdf_cached_vs_get", [pair.pdf / pair.document for pair in pairs], AGAINST)
    text = f"""\
A PDF of {size_bytes / 1000:.0f} kB from the store, which is a folder, and its document from the database:
{CONNECTIONS} keep-alive connections, {PAIRS} pairs of {SLICE_S} s each, in turns:

| | calls a second, median |
| --- | ---: |
| `GET /v1/documents/:id/pdf` | {median(pair.pdf for pair in pairs):,.0f} |
| `GET /v1/documents/:id` | {median(pair.document for pair in pairs):,.0f} |

The ratio of a pair: median {result.ratio:.2f}, from {result.spread[0]:.2f} to {result.spread[1]:.2f}.
"""
    return Report("a PDF asked for again", text, (result,))
