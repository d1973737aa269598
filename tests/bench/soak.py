"""`make soak`: one worker prints documents of all kinds without a pause, and its memory is watched meanwhile."""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import combinations, count
from random import Random
from statistics import fmean, median

import msgspec

from shared.messages import RenderJob
from shared.queue import open_queue
from shared.templates import TEMPLATES
from tests.bench.invoice import invoice
from tests.bench.memory import KB, MB, Footprint, footprint
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
# What a line through the second half may rise, as a share of its mean. Each part is judged by itself, or the breath of
# a large one would hide what a small one keeps.
GROWTH_MAX = 0.05
PARTS: dict[str, Callable[[Footprint], float]] = {
    "Python": lambda seen: seen.python_mb,
    "browsers": lambda seen: seen.browsers_mb,
}
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
    """Of one part: its mean in the second half, what a line through that half rises, and the PDFs made meanwhile."""

    name: str
    mean_mb: float
    rise_mb: float
    prints: int

    @property
    def rise_mb_max(self) -> float:
        return GROWTH_MAX * self.mean_mb

    @property
    def is_flat(self) -> bool:
        return self.rise_mb <= self.rise_mb_max

    @property
    def verdict(self) -> str:
        found = "flat" if self.is_flat else "NOT flat"
        seen_kb = self.rise_mb_max * MB / KB / max(self.prints, 1)
        return (
            f"- {self.name}: {self.mean_mb:,.0f} MB, {self.rise_mb:+,.1f} MB over the second half, which is {found}; "
            f"{seen_kb:.1f} kB kept of each PDF would not be."
        )


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
    times, prints = [sample.seconds for sample in late], late[-1].prints - late[0].prints
    grown: list[Growth] = []
    for name, part in PARTS.items():
        sizes_mb = [part(sample.footprint) for sample in late]
        rise_mb = slope(times, sizes_mb) * (times[-1] - times[0])
        grown.append(Growth(name, fmean(sizes_mb), rise_mb, prints))
    return grown


def slope(times: Sequence[float], sizes: Sequence[float]) -> float:
    """The median of the slopes between any two samples (Theil and Sen), which few far ones do not move."""
    pairs = combinations(zip(times, sizes, strict=True), 2)
    return median((size - before) / (at - earlier) for (earlier, before), (at, size) in pairs)


def report(samples: Sequence[Sample], grown: Sequence[Growth]) -> str:
    minutes = sorted({int(sample.seconds // 60) for sample in samples})
    rows = "\n".join(
        _row(minute, [one for one in samples if one.seconds // 60 == minute]) for minute in minutes
    )
    verdicts = "\n".join(growth.verdict for growth in grown)
    return f"""\
`make soak`: one worker on a queue that is never empty for long, for {samples[-1].seconds / 60:.0f}
minutes: documents of 1 to {LINES_MAX} lines in {len(WORDS)} languages, all templates, both papers; of every
{BATCHES_TO_AN_EXPORT} batches of {BATCH} one is an export, by a browser of its own. Memory is the processes' own (PSS
without files), every {SAMPLE_S:.0f} s, as a minute's median in MB. Flat is a line through the second half (Theil and
Sen's) that rises by no more than {GROWTH_MAX:.0%} of the mean, for each part by itself.

| minute | PDFs so far | {" | ".join(PARTS)} |
| ---: | ---: |{" ---: |" * len(PARTS)}
{rows}

{verdicts}
"""


def _row(minute: int, samples: Sequence[Sample]) -> str:
    sizes_mb = [median(part(sample.footprint) for sample in samples) for part in PARTS.values()]
    return f"| {minute + 1} | {samples[-1].prints:,} | {' | '.join(f'{size:,.0f}' for size in sizes_mb)} |"


if __name__ == "__main__":
    main()
