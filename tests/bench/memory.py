"""How much memory a worker and its browsers take, as Linux shares it out among processes (PSS)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import psutil

MB = 1_000_000
PEAK_SAMPLE_S = 0.1


class Footprint(msgspec.Struct, frozen=True):
    """``worker_mb`` is Python's and the driver's, ``browsers_mb`` that of all browsers' processes."""

    worker_mb: float
    browsers_mb: float


class Peak:
    """The most of each that was seen."""

    def __init__(self) -> None:
        self.footprint = Footprint(0, 0)

    def take(self, seen: Footprint) -> None:
        self.footprint = Footprint(
            max(self.footprint.worker_mb, seen.worker_mb), max(self.footprint.browsers_mb, seen.browsers_mb)
        )


def footprint(process_id: int) -> Footprint:
    """Of the worker with this id and of all that it has started."""
    worker = psutil.Process(process_id)
    own_mb = browsers_mb = 0.0
    for process in (worker, *worker.children(recursive=True)):
        try:
            is_browser = "--headless" in (line := process.cmdline()) or any(
                "--type=" in part for part in line
            )
            size_mb = process.memory_full_info().pss / MB
        except psutil.NoSuchProcess:
            continue  # a browser that was just replaced
        own_mb, browsers_mb = (
            (own_mb, browsers_mb + size_mb) if is_browser else (own_mb + size_mb, browsers_mb)
        )
    return Footprint(own_mb, browsers_mb)


@asynccontextmanager
async def watched(process_id: int) -> AsyncGenerator[Peak]:
    """The peak of what happens meanwhile, by looking ten times a second."""
    peak = Peak()

    async def look() -> None:
        while True:
            peak.take(await asyncio.to_thread(footprint, process_id))
            await asyncio.sleep(PEAK_SAMPLE_S)

    looking = asyncio.create_task(look())
    try:
        yield peak
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
