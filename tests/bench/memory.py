"""How much memory of their own a worker and its browsers hold, as Linux shares it out among processes (PSS).

Code and fonts do not count: their files are shared with whatever else runs, and are dropped and read again at will.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import psutil

KB, MB = 1_000, 1_000_000
PEAK_SAMPLE_S = 0.1
OWN = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


class Footprint(msgspec.Struct, frozen=True):
    """The worker's Python, and all its browsers' processes."""

    python_mb: float
    browsers_mb: float


class Peak:
    """The most of each that was seen."""

    def __init__(self) -> None:
        self.python_mb = 0.0
        self.browsers_mb = 0.0

    @property
    def all_mb(self) -> float:
        return self.python_mb + self.browsers_mb

    def take(self, seen: Footprint) -> None:
        self.python_mb = max(self.python_mb, seen.python_mb)
        self.browsers_mb = max(self.browsers_mb, seen.browsers_mb)


def footprint(process_id: int) -> Footprint:
    """Of the worker with this id and of all that it has started."""
    browsers_mb = 0.0
    for process in psutil.Process(process_id).children(recursive=True):
        with suppress(
            psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError
        ):  # one that was just replaced
            browsers_mb += _own_mb(process.pid)
    return Footprint(_own_mb(process_id), browsers_mb)


def _own_mb(process_id: int) -> float:
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(OWN)) / MB


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
