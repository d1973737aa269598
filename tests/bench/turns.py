"""What is compared has its turns, so that what else the machine does meets all of it."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random

from tests.bench.quiet import quiet
from tests.bench.slices import Slice

Work = Callable[[], Awaitable[Slice]]

# So many there are, however long they take.
TURNS_MIN = 5
# A machine that is never quiet shall not take a measure's time.
QUIET_S_MAX = 3.0


async def in_turns(works: Mapping[str, Work], *, turns: int, seconds_max: float) -> dict[str, list[Slice]]:
    """A slice of each in every turn, in an order by chance, so that nobody always comes behind the same one.

    No new turn begins after ``seconds_max``.
    """
    for work in works.values():
        await work()
    gc.collect()
    found: dict[str, list[Slice]] = {name: [] for name in works}
    end, chance = time.monotonic() + seconds_max, Random(3)
    for turn in range(turns):
        if turn >= TURNS_MIN and time.monotonic() > end:
            break
        await hushed()
        for name in chance.sample(list(works), len(works)):
            found[name].append(await works[name]())
    return found


async def hushed() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET_S_MAX):
            await quiet()
