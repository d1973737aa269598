"""`make soak`: one worker prints documents of all kinds without a pause, and its memory is watched meanwhile."""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from statistics import fmean, linear_regression, median

import msgspec

from shared.messages import RenderJob
from shared.queue import open_queue
from shared.templates import TEMPLATES
from tests.bench.invoice import invoice
from tests.bench.memory import Footprint, footprint
from tests.bench.products import FullQueue, WholeWay, objects_of, opened_product, seller, worker_process_id
from tests.bench.results import publish_text
from tests.bench.ways import Prepare, two_cores
from tests.faults.world import World

MINUTES = 10.0
BATCH = 40
BATCHES_TO_AN_EXPORT = 5
LINES_MAX = 40
SAMPLE_S = 3.0
SEED = "soak"
# What a fitted line may rise over the second half, as a share of its mean; browsers are replaced by fresh ones on the
# way, so that a single sample says little.
GROWTH_MAX = 0.05
WORDS = {
    "en": "Design and build, first phase",
    "de": "Gestaltung und Umsetzung der Oberfläche",
    "ar": "تصميم وتطوير الموقع",
    "he": "עיצוב ופיתוח האתר",
    "ja": "ウェブサイトの設計と開発",
    "zh": "网站设计与开发",
    "pl": "Projekt i wdrożenie, część główna",
}


class Sample(msgspec.Struct, frozen=True):
    """``seconds`` since the start, and how many PDFs had been made."""

    seconds: float
    prints: int
    footprint: Footprint


class Growth(msgspec.Struct, frozen=True):
    """Of one kind of process: its mean in the second half, and what a fitted line rises over that half."""

    name: str
    mean_mb: float
    rise_mb: float

    @property
    def is_flat(self) -> bool:
        return self.rise_mb <= GROWTH_MAX * self.mean_mb


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("minutes", nargs="?", type=float, default=MINUTES)
    samples = asyncio.run(soaked(parser.parse_args().minutes * 60))
    grown = growths(samples)
    text = report(samples, grown)
    publish_text("soak", text)
    print(text)
    sys.exit(0 if all(growth.is_flat for growth in grown) else 1)


async def soaked(seconds: float) -> list[Sample]:
    with two_cores():
        async with opened_product() as world, open_queue(world.valkey.url) as redis:
            samples: list[Sample] = []
            async with _sampling(samples) as printed:
                ways = (
                    FullQueue(world, redis).prepare,
                    WholeWay(world.urls[0], await seller(world)).prepare_export,
                )
                await _keep_printing(world, *ways, seconds, printed)
            return samples


async def _keep_printing(
    world: World, alone: Prepare, together: Prepare, seconds: float, printed: list[int]
) -> None:
    """What has been printed is deleted, since it is the memory that matters and not the disk."""
    chance, numbers = Random(SEED), count(1)
    end = time.monotonic() + seconds
    for turn in count(1):
        prepare = alone if turn % BATCHES_TO_AN_EXPORT else together
        work = await prepare([varied(next(numbers), chance) for _ in range(BATCH)])
        printed[0] += len(await work())
        await asyncio.to_thread(shutil.rmtree, objects_of(world), ignore_errors=True)
        if time.monotonic() > end:
            return


@asynccontextmanager
async def _sampling(samples: list[Sample]) -> AsyncGenerator[list[int]]:
    """A sample every few seconds; what is yielded holds the number of PDFs so far."""
    printed, began, process_id = [0], time.monotonic(), worker_process_id()

    async def sample() -> None:
        while True:
            seen = await asyncio.to_thread(footprint, process_id)
            samples.append(Sample(time.monotonic() - began, printed[0], seen))
            await asyncio.sleep(SAMPLE_S)

    task = asyncio.create_task(sample())
    try:
        yield printed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def varied(number: int, chance: Random) -> RenderJob:
    """Any template, paper, language and length."""
    locale = chance.choice(list(WORDS))
    job = invoice(number, chance.randint(1, LINES_MAX))
    items = tuple(msgspec.structs.replace(item, description=WORDS[locale]) for item in job.items)
    return msgspec.structs.replace(
        job,
        items=items,
        locale=locale,
        notes=WORDS[locale] * chance.randint(0, 20),
        template=chance.choice(TEMPLATES).id,
        page_size=chance.choice(("a4", "letter")),
    )


def growths(samples: Sequence[Sample]) -> list[Growth]:
    late = samples[len(samples) // 2 :]
    return [
        _growth("worker", late, [sample.footprint.worker_mb for sample in late]),
        _growth("browsers", late, [sample.footprint.browsers_mb for sample in late]),
    ]


def _growth(name: str, late: Sequence[Sample], sizes_mb: Sequence[float]) -> Growth:
    times = [sample.seconds for sample in late]
    slope = linear_regression(times, sizes_mb).slope
    return Growth(name, fmean(sizes_mb), slope * (times[-1] - times[0]))


def report(samples: Sequence[Sample], grown: Sequence[Growth]) -> str:
    minutes = sorted({int(sample.seconds // 60) for sample in samples})
    rows = "\n".join(
        _row(minute, [one for one in samples if one.seconds // 60 == minute]) for minute in minutes
    )
    verdicts = " ".join(
        f"The {growth.name}: {growth.mean_mb:,.0f} MB, {growth.rise_mb:+,.1f} MB over the second half, "
        f"which is {'flat' if growth.is_flat else 'NOT flat'}."
        for growth in grown
    )
    return f"""\
`make soak`: one worker on a queue that is never empty for long, for {samples[-1].seconds / 60:.0f}
minutes: documents of 1 to {LINES_MAX} lines in {len(WORDS)} languages, all templates, both papers; of every
{BATCHES_TO_AN_EXPORT} batches of {BATCH} one is an export, by a browser of its own. Memory is PSS, every
{SAMPLE_S:.0f} s; the worker's is with that of the browsers' driver. Flat is a line fitted to the second half that rises
by no more than {GROWTH_MAX:.0%} of the mean.

| minute | PDFs so far | worker MB, median | browsers MB, median |
| ---: | ---: | ---: | ---: |
{rows}

{verdicts}
"""


def _row(minute: int, samples: Sequence[Sample]) -> str:
    worker = median(sample.footprint.worker_mb for sample in samples)
    browsers = median(sample.footprint.browsers_mb for sample in samples)
    return f"| {minute + 1} | {samples[-1].prints:,} | {worker:,.0f} | {browsers:,.0f} |"


if __name__ == "__main__":
    main()
