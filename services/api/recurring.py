"""What a gateway does again and again beside its calls; what the stores refuse meanwhile is done next time."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from obstore.exceptions import BaseError as ObjectStoreError

log = structlog.get_logger()


async def recur(name: str, work: Callable[[], Awaitable[object]], *, every_s: float) -> None:
    """Run for as long as the gateway lives, about every so many seconds: gateways spread by chance."""
    while True:
        await asyncio.sleep(every_s * random.uniform(0.5, 1.5))  # noqa: S311 - guards nothing
        try:
            await work()
        except (OSError, ObjectStoreError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("work_postponed", work=name, cause=f"{type(error).__name__}: {error}")
