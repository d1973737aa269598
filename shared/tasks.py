"""Background tasks: ended for sure."""

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_S = 0.1


async def stop_tasks(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel until they have ended: a store's client, caught while it connects, may swallow a cancellation."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
