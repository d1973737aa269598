"""Every way of making the same invoice a PDF, side by side in one run: in turns, on two cores, each warmed up first."""

import gc
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from statistics import median

import msgspec

from tests.bench.browsers import opened_browser_ways
from tests.bench.bulk import opened_bulk_ways
from tests.bench.invoice import invoice
from tests.bench.products import opened_product, opened_product_ways
from tests.bench.quiet import quiet
from tests.bench.results import Report, Result, result_of
from tests.bench.typesetters import ADVICE, opened_typesetters
from tests.bench.ways import Slice, Way, measured, two_cores

ROUNDS = 7

WHAT_EACH_IS = """\
The browser is Chromium's headless shell for all. The HTML of a document is made before the clock starts, but for our
own ways, which begin with the document itself and end with the finished file.

- *A new browser* and *a new context* for each PDF: Playwright as its documentation shows it, two at a time, in one
  browser in the second case: `set_content`, wait for `load`, `pdf`, close.
- *A warm page with new content*: two browsers with one page each that live on: Playwright's `set_content` and `pdf`.
  These three print the worker's page without the rule that keeps it off the screen, which is a lever of ours.
- *The bare warm page*: two browsers with one page each that live on; `Page.setDocumentContent` and `Page.printToPDF`
  over Playwright's connection to the DevTools protocol, and nothing else. It is what all is compared with.
- *The same without a driver*: over our own connection to the browser, which Playwright's process of Node does not pass
  on; with our flags.
- *Our worker*: a worker process on a queue that was filled while it stood still, until the last PDF lies in the store,
  a folder: words, HTML, print, proof, finishing and storing. Documents are filled ahead of both
  browsers, and a browser prints the next while Python finishes the last.
- *Our whole way*: callers who `GET` the PDFs of documents that nobody has asked for before, with gateway, metering,
  PostgreSQL, Valkey, the worker and the callers all on the same two cores.
- *The bulk way*: documents of one account in parts of 100, split, each proved to be its own and finished, in two
  browsers; what a worker does for an export, before it stores them.
- *A whole export*: `POST /v1/exports` of documents that have never been printed, until the archive of them is
  downloaded and unpacked; a worker has one browser for exports, which lets all others go first.
- *WeasyPrint*: the same HTML in two processes, tagged, without the rules for fonts of other scripts, which it would
  load for each document; what it does not know of CSS it leaves out.
- *Typst*: the same words in [a template of its own](../tests/bench/invoice.typ), with an equal layout and the same
  fonts; compiled in two processes that keep their compiler, tagged.
"""

Found = dict[str, list[Slice]]


class Ratio(msgspec.Struct, frozen=True):
    """A row for scripts: ``way`` against the way ``to``."""

    name: str
    way: str
    to: str


RATIOS = (
    Ratio("worker_vs_warm_page", "worker", "warm_page"),
    Ratio("worker_vs_own_page", "worker", "own_page"),
    Ratio("worker_vs_new_content", "worker", "warm_playwright"),
    Ratio("bulk_vs_warm_page", "bulk", "warm_page"),
    Ratio("bulk_vs_new_content", "bulk", "warm_playwright"),
    Ratio("bulk_vs_new_context", "bulk", "new_context"),
    Ratio("bulk_vs_typst", "bulk", "typst"),
)


async def measure() -> Report:
    with two_cores():
        async with opened_ways() as ways:
            found = await _in_turns(ways)
    results = tuple(_results(ways, found))
    return Report("PDFs side by side", _text(ways, found), results)


@asynccontextmanager
async def opened_ways() -> AsyncGenerator[dict[str, Way]]:
    """All that this machine has what they need for, the costliest first."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(opened_product())
        opened = (
            opened_browser_ways(),
            opened_product_ways(world),
            opened_bulk_ways(),
            opened_typesetters(),
        )
        groups = [await stack.enter_async_context(some) for some in opened]
        yield {name: way for group in groups for name, way in group.items()}


async def _in_turns(ways: dict[str, Way]) -> Found:
    """A slice of each way in each round, kin beside each other, so that what else is done here meets all of them."""
    numbers = count(1)
    for way in ways.values():
        await measured(way, [invoice(next(numbers)) for _ in range(way.warm_up)])
    found: Found = {name: [] for name in ways}
    for number in range(ROUNDS):
        await quiet()
        for name, way in reversed(ways.items()) if number % 2 else ways.items():
            if number < way.rounds:
                gc.collect()
                jobs = [invoice(next(numbers)) for _ in range(way.documents)]
                found[name].append(await measured(way, jobs))
    return found


def _results(ways: dict[str, Way], found: Found) -> Iterator[Result]:
    for ratio in RATIOS:
        if ratio.way in found and ratio.to in found:
            yield result_of(ratio.name, _ratios(found, ratio.way, ratio.to), ways[ratio.to].name)


def _ratios(found: Found, way: str, to: str) -> list[float]:
    """Of each round that had both."""
    return [ours.per_s / theirs.per_s for ours, theirs in zip(found[way], found[to], strict=False)]


def _text(ways: dict[str, Way], found: Found) -> str:
    missing = "".join(f"\n{sentence}\n" for name, sentence in ADVICE.items() if name not in ways)
    rows = "\n".join(_row(way, found, name) for name, way in ways.items())
    return f"""\
One invoice of ten lines on one page, tagged, with an outline and the same fonts; each PDF is a document of its own.
{ROUNDS} rounds; in each every way has its turn of one to four seconds. Every way has two cores, and two browsers,
pages or processes that work at the same time; what it needs was started and warmed up before.

| way | PDFs a second, median | lowest to highest | of the bare warm page | kB a PDF |
| --- | ---: | ---: | ---: | ---: |
{rows}
{missing}
{WHAT_EACH_IS}"""


def _row(way: Way, found: Found, name: str) -> str:
    rates = [turn.per_s for turn in found[name]]
    size_kb = median(turn.size_bytes for turn in found[name]) / 1000
    ratio = median(_ratios(found, name, "warm_page"))
    spread = f"{min(rates):,.1f} to {max(rates):,.1f}"
    return f"| {way.name} | {median(rates):,.1f} | {spread} | {ratio:.2f} | {size_kb:.0f} |"
