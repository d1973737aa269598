"""One way to reach PostgreSQL: a bounded pool that opens lazily, so that a service starts before its database."""

import asyncio
from typing import Any, TypeAlias, Union

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = Union["asyncpg.Connection[asyncpg.Record]", "PoolConnectionProxy[asyncpg.Record]"]
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0
# Connections that are kept at hand; others go back to the pool, which closes what is idle for so long.
KEPT_MAX = 8
IDLE_S = 300.0
QUERIES_MAX = 50_000


class KeptPool(asyncpg.Pool):
    """A pool that keeps some connections as they were given back: to clean and book them costs more than most reads.

    For those with nothing in a session that outlives its transaction: no settings, session locks or listening.
    """

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, connection_class=asyncpg.Connection, record_class=asyncpg.Record, **options)
        self.kept: list[PoolConnectionProxy[asyncpg.Record]] = []
        self.waiting = 0

    async def close(self) -> None:
        while self.kept:
            await self.release(self.kept.pop())
        await super().close()


async def open_pool(
    url: str, *, size_max: int, statement_timeout_s: float, sessions_matter: bool = True
) -> Pool:
    """A pool of at most ``size_max`` connections; a statement is cancelled by the server after its timeout."""
    options: dict[str, Any] = {
        "min_size": 0,
        "max_size": size_max,
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": statement_timeout_s + 1,
        "server_settings": {
            "application_name": "invouno",
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "timezone": "UTC",
        },
    }
    if sessions_matter:
        return await asyncpg.create_pool(url, **options)
    return await KeptPool(
        url,
        **options,
        max_queries=QUERIES_MAX,
        max_inactive_connection_lifetime=IDLE_S,
        reset=_keep,
        loop=None,
    )


async def _keep(_connection: Connection) -> None:
    """A transaction that was left open the pool has rolled back already."""


class acquired:  # noqa: N801 - reads as what it is where it is used
    """A connection of the pool as a context, or TimeoutError when all are in use for too long."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: PoolConnectionProxy[asyncpg.Record] | None = None

    async def __aenter__(self) -> Connection:
        kept = self._pool.kept if isinstance(self._pool, KeptPool) else []
        while kept:
            connection = kept.pop()
            if not is_lost(connection):
                self._connection = connection
                return connection
        self._connection = await _waited(self._pool)
        return self._connection

    async def __aexit__(self, failed: type[BaseException] | None, *_: object) -> None:
        connection, pool = self._connection, self._pool
        if connection is None:
            return
        if isinstance(pool, KeptPool) and not (failed or pool.waiting or len(pool.kept) >= KEPT_MAX):
            pool.kept.append(connection)
        else:
            await pool.release(connection)


def is_lost(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Whether a connection that was kept has ended meanwhile, and the pool has taken it back by itself."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


async def _waited(pool: Pool) -> "PoolConnectionProxy[asyncpg.Record]":
    """The pool's own timeout would swallow a cancellation on Python 3.11, and a service would not stop."""
    waits = isinstance(pool, KeptPool)
    if waits:
        pool.waiting += 1
    try:
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            return await pool.acquire()
    finally:
        if waits:
            pool.waiting -= 1
