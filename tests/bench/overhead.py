"""What the way to a PDF costs beside its print: a GET of one never asked for, against the bare print of its page."""

import gc
import time
from collections.abc import Awaitable, Callable
from statistics import median

import msgspec
from load import open_line

from services.renderer.chromium import Chromium
from services.renderer.fill import template_environment
from tests.bench.browsers import html_of, warm_chromium
from tests.bench.invoice import invoice
from tests.bench.products import WholeWay, opened_product, seller
from tests.bench.quiet import quiet
from tests.bench.results import Report
from tests.bench.ways import two_cores
from tests.faults.world import World

WARM_UP = 10
PAIRS = 80
PAIRS_BETWEEN_QUIETS = 20
OVERHEAD_MS_MAX = 15.0


class Pair(msgspec.Struct, frozen=True):
    """Milliseconds from asking to having the bytes, one at a time."""

    whole: float
    bare: float


async def measure() -> Report:
    with two_cores():
        async with opened_product() as world, warm_chromium(pages=1) as chromium:
            return _report(await _pairs(world, chromium))


async def _pairs(world: World, chromium: Chromium) -> list[Pair]:
    """In turns, after some of each that are not counted."""
    jobs = [invoice(number) for number in range(WARM_UP + PAIRS)]
    templates = template_environment()
    htmls = [html_of(job, templates) for job in jobs]
    way = WholeWay(world.urls[0], await seller(world))
    documents = await way.posted(jobs)
    line = await open_line(world.urls[0])
    pairs: list[Pair] = []
    for number, (html, document_id) in enumerate(zip(htmls, documents, strict=True)):
        if number % PAIRS_BETWEEN_QUIETS == 0:
            await quiet()
            gc.collect()
        bare = await _timed(lambda html=html: chromium.print(html))
        whole = await _timed(lambda document_id=document_id: way.pdf(line, document_id))
        pairs.append(Pair(whole, bare))
    line.close()
    return pairs[WARM_UP:]


async def _timed(make: Callable[[], Awaitable[bytes]]) -> float:
    began = time.perf_counter()
    await make()
    return (time.perf_counter() - began) * 1000


def _report(pairs: list[Pair]) -> Report:
    whole, bare = median(pair.whole for pair in pairs), median(pair.bare for pair in pairs)
    overheads = sorted(pair.whole - pair.bare for pair in pairs)
    overhead = median(overheads)
    least, most = overheads[len(overheads) // 10], overheads[-1 - len(overheads) // 10]
    text = f"""\
A PDF that nobody has asked for before, one at a time on one connection of our own asyncio client:
`GET /v1/documents/:id/pdf` through gateway, queue, worker, store and back, against the bare warm page that prints the
same HTML; {PAIRS} pairs, in turns:

| | milliseconds, median |
| --- | ---: |
| the whole way | {whole:.1f} |
| the bare print | {bare:.1f} |
| the difference of a pair | {overhead:.1f} |

Eight of ten differences are from {least:.1f} to {most:.1f} ms; the bound is {OVERHEAD_MS_MAX:.0f} ms.
"""
    missed = (f"The whole way costs {overhead:.1f} ms beside the print; {OVERHEAD_MS_MAX:.0f} is the most.",)
    return Report("one PDF asked for once", text, missed=missed if overhead > OVERHEAD_MS_MAX else ())
