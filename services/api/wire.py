"""One connection to the meter's Redis for whole batches: one write and its replies, cheaper than a pipeline.

The client connects and authenticates as ever; from then on bytes go straight to its parser. Exchanges never overlap.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = Sequence[Any]


class Wire:
    """``redis`` is the client of one server; its timeout is that of an exchange."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._timeout_s: float = redis.connection_pool.connection_kwargs["socket_timeout"]
        self._line: Line | None = None

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """A reply for each, in order, an error of the server as its exception.

        Raises RedisConnectionError or RedisTimeoutError; nobody knows then what was executed.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._line is None or self._line.is_lost:
                    await self.aclose()
                    self._line = await _connected(self._redis)
                return await self._line.exchange(commands)
        except TimeoutError:
            await self.aclose()
            raise RedisTimeoutError("The meter did not answer in time") from None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            await line.aclose()


async def _connected(redis: Redis) -> "Line":
    """On a connection of the client's pool, which closes it at the latest when the client is closed."""
    pool: Any = redis.connection_pool
    return Line(pool, await pool.get_connection())


class Line(asyncio.Protocol):
    """A connection of the client, with this in the place of its streams."""

    def __init__(self, pool: Any, connection: Any) -> None:
        self._pool = pool
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport  # noqa: SLF001 - there is no other way to it
        self._streams: Any = self._transport.get_protocol()
        self._transport.set_protocol(self)
        parse_error = connection._parser.parse_error  # noqa: SLF001 - so that errors are what the client makes of them
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=parse_error)
        self._replies: list[Any] = []
        self._awaited = 0
        self._complete: asyncio.Future[list[Any]] | None = None
        self.is_lost = False

    def exchange(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]]":
        self._replies, self._awaited = [], len(commands)
        self._complete = asyncio.get_running_loop().create_future()
        pack: Any = hiredis.pack_command
        self._transport.write(b"".join([pack(tuple(command)) for command in commands]))
        return self._complete

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._replies.append(reply)
        if len(self._replies) == self._awaited and self._complete is not None and not self._complete.done():
            self._complete.set_result(self._replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._streams.connection_lost(exc)
        if self._complete is not None and not self._complete.done():
            self._complete.set_exception(RedisConnectionError(f"The meter closed the connection: {exc}"))

    async def aclose(self) -> None:
        self.is_lost = True
        await self._connection.disconnect(nowait=True)
        await self._pool.release(self._connection)
