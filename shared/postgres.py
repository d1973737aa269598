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


async def open_pool(
    url: str, *, size_max: int, statement_timeout_s: float, sessions_matter: bool = True
) -> Pool:
    """A pool of at most ``size_max`` connections; a statement is cancelled by the server after its timeout.

    Where nothing of a session outlives its transaction (no settings, session locks or listening), ``sessions_matter``
    is to be false: cleaning a session costs a round trip for each use of a connection.
    """
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size_max,
        timeout=CONNECT_TIMEOUT_S,
        reset=None if sessions_matter else _keep,
        command_timeout=statement_timeout_s + 1,
        server_settings={
            "application_name": "invouno",
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "timezone": "UTC",
        },
    )


async def _keep(_connection: Connection) -> None:
    """A transaction that was left open the pool has rolled back already."""


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
