"""One way to reach PostgreSQL: a bounded pool that opens lazily, so that a service starts before its database."""

import asyncio
from collections import deque
from typing import Any, TypeAlias, Union

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = Union["asyncpg.Connection[asyncpg.Record]", "PoolConnectionProxy[asyncpg.Record]"]
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Proxy: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0
IDLE_S = 300.0
QUERIES_MAX = 50_000


class KeptPool(asyncpg.Pool):
    """A pool that keeps its connections as they were given back: to clean and book them costs more than most reads.

    For those with nothing in a session that outlives its transaction: no settings, session locks or listening. Who has
    to wait is handed the next connection that is given back, in turn.
    """

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, connection_class=asyncpg.Connection, record_class=asyncpg.Record, **options)
        self.kept: list[Proxy] = []
        self.waiting: deque[asyncio.Future[Proxy | None]] = deque()
        self._taken = 0  # from the pool, be they kept or in use

    async def lend(self) -> "Proxy":
        """Raises TimeoutError when all are in use for too long."""
        while self.kept:
            connection = self.kept.pop()
            if not is_lost(connection):
                return connection
            self._taken -= 1
        if self._taken < self.get_max_size():
            return await self._take()
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            while (connection := await self._handed()) is None:
                if self._taken < self.get_max_size():
                    return await self._take()
        return connection

    async def give_back(self, connection: "Proxy", *, broken: bool) -> None:
        if broken or is_lost(connection):
            await self._drop(connection)
        elif not self._hand_over(connection):
            self.kept.append(connection)

    async def close(self) -> None:
        while self.kept:
            await self.release(self.kept.pop())
        await super().close()

    async def _take(self) -> "Proxy":
        self._taken += 1
        try:
            return await _acquired(self)
        except BaseException:
            self._taken -= 1
            self._hand_over(None)
            raise

    async def _drop(self, connection: "Proxy") -> None:
        """Back to the pool, and whoever waits may take another."""
        try:
            await self.release(connection)
        finally:
            self._taken -= 1
            self._hand_over(None)

    async def _handed(self) -> "Proxy | None":
        """The next connection that is given back, or None when one may be taken from the pool instead."""
        place: asyncio.Future[Proxy | None] = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and not self._hand_over(place.result()):
                self.kept += filter(None, [place.result()])
            raise

    def _hand_over(self, connection: "Proxy | None") -> bool:
        """Whether there was anybody who waited for it."""
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return True
        return False


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
        self._connection: Proxy | None = None

    async def __aenter__(self) -> Connection:
        pool = self._pool
        self._connection = await (pool.lend() if isinstance(pool, KeptPool) else _acquired(pool))
        return self._connection

    async def __aexit__(self, failed: type[BaseException] | None, *_: object) -> None:
        connection, pool = self._connection, self._pool
        if connection is None:
            return
        if isinstance(pool, KeptPool):
            await pool.give_back(connection, broken=failed is not None)
        else:
            await pool.release(connection)


def is_lost(connection: "Proxy") -> bool:
    """Whether a connection that was kept has ended meanwhile, and the pool has taken it back by itself."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


async def _acquired(pool: Pool) -> "Proxy":
    """The pool's own timeout would swallow a cancellation on Python 3.11, and a service would not stop."""
    async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
        return await pool.acquire()
