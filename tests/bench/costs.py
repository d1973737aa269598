"""What a document costs a worker by its length: time, memory, pages and bytes, each document printed alone."""

import gc
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from statistics import median

import msgspec
import pikepdf

from shared.queue import open_queue
from tests.bench.invoice import invoice
from tests.bench.memory import Peak, watched
from tests.bench.products import FullQueue, opened_product, worker_process_id
from tests.bench.quiet import quiet
from tests.bench.results import Report, Result, result_of
from tests.bench.ways import two_cores

# How often a document of so many lines is timed.
TIMES = {1: 30, 10: 30, 100: 15, 1_000: 5, 5_000: 3}
WARM_UP = 10
SHORT, LONG = 1_000, 5_000


class Cost(msgspec.Struct, frozen=True):
    lines: int
    ms: Sequence[float]
    pages: int
    size_bytes: int
    peak: Peak

    @property
    def row(self) -> str:
        ms, size_kb = median(self.ms), self.size_bytes / 1000
        return (
            f"| {self.lines:,} | {self.pages:,} | {ms:,.0f} | {ms / self.lines:.2f} | {size_kb:,.0f} "
            f"| {self.peak.python_mb:,.0f} | {self.peak.browsers_mb:,.0f} |"
        )


async def measure() -> Report:
    with two_cores():
        async with opened_product() as world, open_queue(world.valkey.url) as redis:
            worker = FullQueue(world, redis)
            await (await worker.prepare([invoice(number) for number in range(WARM_UP)]))()
            costs = [await _cost(worker, lines, times) for lines, times in TIMES.items()]
    return Report("cost by lines", _text(costs), results({cost.lines: cost for cost in costs}))


def results(costs: Mapping[int, Cost]) -> tuple[Result, ...]:
    """A line's share of a long document against its share of one a fifth as long; memory is that beyond one line's."""
    least, short, long = costs[1], costs[SHORT], costs[LONG]
    ms = [one / LONG / (other / SHORT) for one in long.ms for other in short.ms]
    more_mb = [(cost.peak.all_mb - least.peak.all_mb) / cost.lines for cost in (long, short)]
    return (
        result_of("line_of_5000_ms_vs_of_1000", ms, "a line of 1,000"),
        result_of("line_of_5000_mb_vs_of_1000", [more_mb[0] / more_mb[1]], "a line of 1,000"),
    )


async def _cost(worker: FullQueue, lines: int, times: int) -> Cost:
    """Time first and memory afterwards, since looking at memory takes time."""
    await quiet()
    gc.collect()
    timed = [await _timed(worker, number, lines) for number in range(times)]
    async with watched(worker_process_id()) as peak:
        again = [await _timed(worker, times + number, lines) for number in range(times)]
    pdf = again[0][1]
    with pikepdf.open(BytesIO(pdf)) as opened:
        pages = len(opened.pages)
    return Cost(lines, [ms for ms, _ in timed], pages, len(pdf), peak)


async def _timed(worker: FullQueue, number: int, lines: int) -> tuple[float, bytes]:
    work = await worker.prepare([invoice(number, lines)])
    began = time.perf_counter()
    [pdf] = await work()
    return (time.perf_counter() - began) * 1000, pdf


def _text(costs: Sequence[Cost]) -> str:
    rows = "\n".join(cost.row for cost in costs)
    return f"""\
One document at a time through a worker, from its queue to the store. Memory is the most of their own that a worker and
its browsers were seen to hold while it printed as many again (PSS without files). A line of {LONG:,} may cost no more
than a quarter more than one of {SHORT:,}, in time and in memory.

| lines | pages | ms, median | ms a line | kB | worker MB | browsers MB |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""
