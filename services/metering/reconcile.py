"""Reconciling: what Redis and the ledger each hold of an account's current period, at one moment and drained.

Whatever differs then differs for good; `invouno usage reconcile` shows it and can mend it.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from services.metering.billing import select_billing
from services.metering.counters import Live, read_lives
from services.metering.dirty import clean_batch
from services.metering.events import bucket_of
from services.metering.handover import BATCH_MAX, handing_over
from services.metering.ledger import UsageRow, Used, add_usage, select_used_of, upsert_dirty
from services.metering.limits import Period
from services.metering.seeding import periods_of
from services.metering.stores import redis_clock, send
from shared.messages import meter_reserved, meter_shard
from shared.postgres import Connection


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """``redis`` is what it held before and after the ledger was drained and read; None where it holds nothing."""

    account_id: str
    period: Period
    redis: tuple[Used, Used] | None
    ledger: Used
    reserved: int
    """Documents that are counted and whose creation is under way."""


class Created(msgspec.Struct, frozen=True):
    """Documents created in the period: at least, and at most, for clocks differ a little at its ends."""

    least: int
    most: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """``redis`` and ``documents`` are None where they have nothing to say; ``correction`` is what the ledger lacks."""

    account: str
    metric: str
    redis: int | None
    ledger: int
    documents: int | None = None
    correction: int = 0


async def read_held(connection: Connection, redis: Redis, account_ids: Sequence[str]) -> list[Held]:
    """For accounts of one shard, whose stream is handed over meanwhile."""
    shard = meter_shard(account_ids[0])
    while True:
        async with handing_over(connection, redis, shard) as work:
            before = await read_lives(redis, account_ids)
            if await work.take() < BATCH_MAX:
                return await _read_held(connection, redis, account_ids, before)


async def _read_held(
    connection: Connection, redis: Redis, account_ids: Sequence[str], before: Sequence[Live | None]
) -> list[Held]:
    periods = await periods_of(connection, redis, account_ids)
    ledger = await select_used_of(connection, periods)
    after = await read_lives(redis, account_ids)
    reserved = await _reserved(redis, meter_shard(account_ids[0]))
    return [
        Held(
            account_id=name,
            period=periods[name],
            redis=_of_period(periods[name], first, second),
            ledger=ledger[name],
            reserved=reserved[name],
        )
        for name, first, second in zip(account_ids, before, after, strict=True)
    ]


def _of_period(period: Period, first: Live | None, second: Live | None) -> tuple[Used, Used] | None:
    start_s = int(period.start.timestamp())
    if first is None or second is None or {first.period_start_s, second.period_start_s} != {start_s}:
        return None
    return first.used, second.used


async def _reserved(redis: Redis, shard: int) -> Counter[str]:
    """How many documents are reserved for each account; a block's size stands behind its name."""
    reserved: Counter[str] = Counter()
    for member in await send(redis, "ZRANGE", meter_reserved(shard), 0, -1):
        account_id, _, rest = member.decode().partition(" ")
        reserved[account_id] += int(rest.partition(":")[2] or 1)
    return reserved


def differences(held: Held, created: Created) -> list[Difference]:
    """Pure. Counts that move while they are read agree with all that they were meanwhile."""
    calls, documents = held.ledger.api_calls, held.ledger.documents
    found: list[Difference] = []
    redis_calls = held.redis and (held.redis[0].api_calls, held.redis[1].api_calls)
    if redis_calls and not min(redis_calls) <= calls <= max(redis_calls):
        found.append(
            Difference(account=held.account_id, metric="api_calls", redis=redis_calls[1], ledger=calls)
        )
    redis_documents = held.redis and (held.redis[0].documents, held.redis[1].documents)
    correction = _correction(documents, created.least, created.most + held.reserved)
    if correction or (redis_documents and not min(redis_documents) <= documents <= max(redis_documents)):
        found.append(
            Difference(
                account=held.account_id,
                metric="documents",
                redis=redis_documents[1] if redis_documents else None,
                ledger=documents,
                documents=created.most,
                correction=correction,
            )
        )
    return found


def _correction(count: int, least: int, most: int) -> int:
    """What brings the count within its bounds."""
    return max(least, min(most, count)) - count


async def mend(connection: Connection, redis: Redis, difference: Difference) -> None:
    """Let the ledger have the documents that there are, and Redis what the ledger has, from the next call on."""
    account_id = difference.account
    now = await redis_clock(redis)
    async with connection.transaction():
        if difference.correction:
            bucket = bucket_of(now, await select_billing(connection, account_id))
            await add_usage(
                connection, [UsageRow(account_id, difference.metric, bucket, difference.correction)]
            )
        await upsert_dirty(connection, [account_id])
    await clean_batch(connection, redis, meter_shard(account_id), [account_id])
