"""Waits for a machine that does nothing else, for what else runs would be measured as well."""

import asyncio
import time
from pathlib import Path

IDLE_LEAST = 0.85
SAMPLE_S = 0.3
# A machine that is never quiet is measured as it is.
PATIENCE_S = 20.0
STAT = Path("/proc/stat")


async def quiet() -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        idle, total = _ticks()
        await asyncio.sleep(SAMPLE_S)
        later_idle, later_total = _ticks()
        if later_idle - idle >= IDLE_LEAST * (later_total - total):
            return


def _ticks() -> tuple[int, int]:
    """The processors' idle time and all of their time since the start; where that cannot be told, nothing."""
    if not STAT.exists():
        return 0, 0
    numbers = [int(number) for number in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)
