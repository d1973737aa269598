"""One way to reach PostgreSQL: a bounded pool that opens lazily, so that a service starts before its database."""

import asyncio
from typing import Any, TypeAlias, Union

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


class acquired:  # noqa: N801 - reads as what it is where it is used
    """A connection of the pool as a context, or TimeoutError when all are in use for too long.

    The pool's own timeout would swallow a cancellation on Python 3.11, and a service would not stop. Where one is free,
    there is nothing to wait for and no need of a timer.
    """

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: PoolConnectionProxy[asyncpg.Record] | None = None

    async def __aenter__(self) -> Connection:
        queue: Any = self._pool._queue  # noqa: SLF001 - the pool does not tell in another way
        if queue.empty():
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                self._connection = await self._pool.acquire()
        else:
            self._connection = await self._pool.acquire()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            await self._pool.release(self._connection)
