"""The two stores as the service holds them, their clock, and the errors that mean one of them is away."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.postgres import Pool

# What passes by itself once a store is back, reachable, or migrated.
STORE_ERRORS = (
    RedisError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that died between two states
    OSError,
    TimeoutError,
)

log = structlog.get_logger(__name__)


class Stores(msgspec.Struct, frozen=True):
    """``patient`` is for blocking reads: its timeout is longer than they block."""

    pool: Pool
    redis: Redis
    patient: Redis


async def send(redis: Redis, *parts: Any) -> Any:
    """One command and its reply; the client's own methods hide whether they are to be awaited."""
    return await redis.execute_command(*parts)


async def redis_clock(redis: Redis) -> datetime:
    """Redis's own time, the one that decides periods."""
    seconds, microseconds = await send(redis, "TIME")
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


class Outage:
    """Says once that work waits for a store, and once that it goes on, however many tasks it stops."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()

    def began(self, task: str, error: BaseException) -> None:
        if not self._waiting:
            log.warning("waiting for a store", task=task, error=f"{type(error).__name__}: {error}")
        self._waiting.add(task)

    def ended(self, task: str) -> None:
        if task in self._waiting:
            self._waiting.remove(task)
            if not self._waiting:
                log.info("the stores are back", task=task)
