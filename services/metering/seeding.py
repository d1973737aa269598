"""Giving an account its live counters from the ledger, when Redis has none of the current period."""

import asyncio

from redis.asyncio import Redis

from services.metering.counters import read_live, seed_counters
from services.metering.handover import BATCH_MAX, handing_over
from services.metering.ledger import select_account, select_used
from services.metering.limits import Period, period_at
from services.metering.stores import Stores, redis_clock
from shared.messages import meter_shard
from shared.postgres import Connection, acquired


class Seeder:
    """Seeds each account once at a time, however many ask."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._running: dict[str, asyncio.Task[None]] = {}

    async def seed(self, account_id: str) -> None:
        """Harmless when the account has its counters. Raises what the stores raise."""
        task = self._running.get(account_id)
        if task is None:
            task = asyncio.create_task(seed_account(self._stores, account_id))
            self._running[account_id] = task
            task.add_done_callback(lambda _: self._running.pop(account_id))
        await asyncio.shield(task)


async def seed_account(stores: Stores, account_id: str) -> None:
    async with acquired(stores.pool) as connection:
        while not await _seed_when_drained(connection, stores, account_id):
            pass


async def _seed_when_drained(connection: Connection, stores: Stores, account_id: str) -> bool:
    """Hand a batch over, and seed if that was all; False when the stream had more.

    The ledger is behind by what the stream still holds, and by what a hand-over has read and not committed. Within the
    shard's lock it is behind by neither; and an account that had no counters before the stream was read gets no new
    entries until it is seeded, for only the lock's holder seeds.
    """
    async with handing_over(connection, stores.redis, meter_shard(account_id)) as work:
        period = period_at(await redis_clock(stores.redis))
        if await _is_live(stores.redis, account_id, period):
            return True
        if await work.take() == BATCH_MAX:
            return False
        account = await select_account(connection, account_id)
        used = await select_used(connection, account_id, period)
        await seed_counters(stores.redis, account_id, account, period, used)
    return True


async def _is_live(redis: Redis, account_id: str, period: Period) -> bool:
    live = await read_live(redis, account_id)
    return live is not None and live.period_start_s >= int(period.start.timestamp())
