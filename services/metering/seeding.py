"""Giving accounts their live counters from the ledger, where Redis has none of the period that may be trusted."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

from redis.asyncio import Redis

from services.metering.billing import select_billing_of
from services.metering.counters import Seed, publish_key_generations, read_lives, seed_counters
from services.metering.handover import BATCH_MAX, handing_over
from services.metering.ledger import select_accounts, select_used_of
from services.metering.limits import Period, period_at
from services.metering.stores import Stores, redis_clock
from shared.messages import METER_SHARDS, meter_shard
from shared.postgres import Connection, acquired

# Of one transaction, which keeps the hand-over of its shard waiting.
SEEDS_MAX = 500

Wanted = dict[str, int | None]
"""Account ids, each with its generation where the caller has just read it."""


class Seeder:
    """Seeds a shard's accounts together; those that come while some are seeded are the next batch."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._waiting: list[Wanted] = [{} for _ in range(METER_SHARDS)]
        self._turns = [asyncio.Lock() for _ in range(METER_SHARDS)]
        self._next: dict[int, asyncio.Task[None]] = {}

    async def seed(self, account_id: str, generation: int | None = None) -> None:
        """Harmless when the account has its counters. Raises what the stores raise.

        ``generation`` is the account's where the caller has just read it.
        """
        waiting = self._waiting[meter_shard(account_id)]
        waiting[account_id] = _newer(generation, waiting.get(account_id))
        await self._seeded(meter_shard(account_id))

    async def _seeded(self, shard: int) -> None:
        """Wait for the batch that takes what waits now; a caller who leaves does not stop it."""
        task = self._next.get(shard)
        if task is None:
            task = self._next[shard] = asyncio.create_task(self._seed_waiting(shard))
        await asyncio.shield(task)

    async def _seed_waiting(self, shard: int) -> None:
        async with self._turns[shard]:
            del self._next[shard]
            wanted, self._waiting[shard] = self._waiting[shard], {}
            left = iter(wanted.items())
            while batch := dict(islice(left, SEEDS_MAX)):
                await seed_accounts(self._stores, shard, batch)


def _newer(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


async def seed_account(stores: Stores, account_id: str, generation: int | None = 0) -> None:
    await seed_accounts(stores, meter_shard(account_id), {account_id: generation})


async def seed_accounts(stores: Stores, shard: int, wanted: Mapping[str, int | None]) -> None:
    """All of one shard; a known generation is taken first, whether or not there are counters."""
    known = {account_id: value for account_id, value in wanted.items() if value is not None}
    if known:
        await publish_key_generations(stores.redis, known)
    async with acquired(stores.pool) as connection:
        while not await _seed_when_drained(connection, stores, shard, list(wanted)):
            pass


async def _seed_when_drained(
    connection: Connection, stores: Stores, shard: int, account_ids: Sequence[str]
) -> bool:
    """Hand a batch over, and seed if that was all; False when the stream had more.

    The ledger is behind by what the stream still holds, and by what a hand-over has read and not committed. Within the
    shard's lock it is behind by neither; and an account that had no counters before the stream was read gets no new
    entries until it is seeded, for only the lock's holder seeds.
    """
    async with handing_over(connection, stores.redis, shard) as work:
        periods = await periods_of(connection, stores.redis, account_ids)
        missing = await _without_counters(stores.redis, periods)
        if not missing:
            return True
        if await work.take() == BATCH_MAX:
            return False
        await seed_counters(stores.redis, await _seeds(connection, stores.redis, missing))
    return True


async def _without_counters(redis: Redis, periods: Mapping[str, Period]) -> list[str]:
    lives = await read_lives(redis, list(periods))
    return [
        account_id
        for (account_id, period), live in zip(periods.items(), lives, strict=True)
        if live is None or live.period_start_s < int(period.start.timestamp())
    ]


async def periods_of(connection: Connection, redis: Redis, account_ids: Sequence[str]) -> dict[str, Period]:
    """The period that runs, by Redis's clock and each account's billing terms."""
    now = await redis_clock(redis)
    terms = await select_billing_of(connection, account_ids)
    return {account_id: period_at(now, terms[account_id]) for account_id in account_ids}


async def _seeds(connection: Connection, redis: Redis, account_ids: Sequence[str]) -> list[Seed]:
    periods = await periods_of(connection, redis, account_ids)
    accounts = await select_accounts(connection, account_ids)
    used = await select_used_of(connection, periods)
    return [Seed(name, accounts[name], periods[name], used[name]) for name in account_ids]
