"""Handing a shard's stream over to the ledger, exactly once.

One transaction holds the shard's lock, reads the stream's head, skips what the fences know and adds the rest. What was
read is deleted from the stream after the commit; a crash in between lets it be read again, and the fences skip it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import structlog
from redis.asyncio import Redis

from services.metering.entries import Entry, decode_entry, pass_fences, sum_usage
from services.metering.ledger import add_usage, advance_fences, lock_hand_over, select_fences
from services.metering.stores import send
from shared.messages import meter_stream
from shared.postgres import Connection

# Large enough to make a transaction's cost small, small enough to keep its lock short.
BATCH_MAX = 500
# What Postgres refuses because of the value itself: trying again would never help.
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)

log = structlog.get_logger(__name__)


class Item(msgspec.Struct, frozen=True):
    """An entry under its stream id, or why it cannot be counted."""

    id: bytes
    fields: dict[bytes, bytes]
    entry: Entry | None
    error: str = ""


def poison_stream(shard: int) -> str:
    """Entries that were set aside, each with its original id and the reason."""
    return f"{meter_stream(shard)}:poison"


async def hand_over(connection: Connection, redis: Redis, shard: int) -> int:
    """Bring the stream's first entries, at most BATCH_MAX, into the ledger; how many there were."""
    async with handing_over(connection, redis, shard) as work:
        return await work.take()


@asynccontextmanager
async def handing_over(connection: Connection, redis: Redis, shard: int) -> AsyncGenerator["HandOver"]:
    """Within, nobody else hands this shard over; on leaving, what was taken is committed and then trimmed."""
    work = HandOver(connection, redis, shard)
    async with connection.transaction():
        await lock_hand_over(connection, shard)
        yield work
    await work.trim()


class HandOver:
    def __init__(self, connection: Connection, redis: Redis, shard: int) -> None:
        self._connection = connection
        self._redis = redis
        self._shard = shard
        self._taken: list[Item] = []
        self._poison: list[Item] = []

    async def take(self) -> int:
        """Count the stream's first entries, once; fewer than BATCH_MAX means that the ledger lacks nothing."""
        self._taken = await _read_head(self._redis, self._shard)
        self._poison = [item for item in self._taken if item.entry is None]
        readable = [item for item in self._taken if item.entry is not None]
        self._poison += await _settle(self._connection, self._shard, readable)
        return len(self._taken)

    async def trim(self) -> None:
        await _set_aside(self._redis, self._shard, self._poison)
        await _delete(self._redis, self._shard, self._taken)


async def _read_head(redis: Redis, shard: int) -> list[Item]:
    found = await send(redis, "XRANGE", meter_stream(shard), "-", "+", "COUNT", BATCH_MAX)
    return [_read_item(entry_id, fields or {}) for entry_id, fields in found]


def _read_item(entry_id: bytes, fields: dict[bytes, bytes]) -> Item:
    try:
        return Item(entry_id, fields, decode_entry(fields))
    except ValueError as error:
        return Item(entry_id, fields, None, str(error))


async def _settle(connection: Connection, shard: int, items: Sequence[Item]) -> list[Item]:
    """Count all the items, or each alone if together they are refused; the refused ones."""
    if not items:
        return []
    try:
        async with connection.transaction():
            await _count(connection, shard, [item.entry for item in items if item.entry])
    except REFUSED as error:
        if len(items) == 1:
            return [msgspec.structs.replace(items[0], error=str(error))]
        return [refused for item in items for refused in await _settle(connection, shard, [item])]
    return []


async def _count(connection: Connection, shard: int, entries: Sequence[Entry]) -> None:
    known = await select_fences(connection, shard, {entry.producer for entry in entries})
    fresh, moved = pass_fences(entries, known)
    if not fresh:
        return
    await advance_fences(connection, shard, moved)
    await add_usage(connection, sum_usage(fresh))


async def _set_aside(redis: Redis, shard: int, poison: Sequence[Item]) -> None:
    for item in poison:
        log.error("a stream entry cannot be counted", shard=shard, entry=item.id.decode(), reason=item.error)
        fields = [part for pair in item.fields.items() for part in pair]
        await send(redis, "XADD", poison_stream(shard), "*", "id", item.id, "error", item.error, *fields)


async def _delete(redis: Redis, shard: int, items: Sequence[Item]) -> None:
    """By id, and not up to one: after a loss of Redis's data, lower ids may be entries that nobody has read."""
    if items:
        await send(redis, "XDEL", meter_stream(shard), *(item.id for item in items))
