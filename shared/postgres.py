"""One way to reach PostgreSQL: a bounded pool that opens lazily, so that a service starts before its database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias, Union

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = Union["asyncpg.Connection[asyncpg.Record]", "PoolConnectionProxy[asyncpg.Record]"]
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0


async def open_pool(url: str, *, size_max: int, statement_timeout_s: float) -> Pool:
    """A pool of at most ``size_max`` connections; a statement is cancelled by the server after its timeout."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size_max,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=statement_timeout_s + 1,
        server_settings={
            "application_name": "invouno",
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "timezone": "UTC",
        },
    )


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncGenerator[Connection]:
    """A connection of the pool, or TimeoutError when all are in use for too long.

    The pool's own timeout would swallow a cancellation on Python 3.11, and a service would not stop.
    """
    async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
        connection = await pool.acquire()
    try:
        yield connection
    finally:
        await pool.release(connection)
