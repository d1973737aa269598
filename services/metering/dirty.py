"""Dirty accounts: those whose counters in Redis lack what the ledger was told by another way than their stream.

Redis forgets them under their shard's lock, so that no seed that read the ledger before can come after.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from redis.asyncio import Redis

from services.metering.counters import forget_counters
from services.metering.ledger import delete_dirty, lock_hand_over, select_dirty
from services.metering.stores import STORE_ERRORS, Stores
from shared.messages import meter_shard
from shared.postgres import Connection, acquired

# Of one transaction, which keeps seeds and the hand-over of its shard waiting.
BATCH_MAX = 500


async def clean_accounts(stores: Stores, account_ids: Iterable[str]) -> None:
    """Have Redis forget those of the accounts that are dirty. Raises what the stores raise; they then stay dirty."""
    by_shard: dict[int, list[str]] = {}
    for account_id in account_ids:
        by_shard.setdefault(meter_shard(account_id), []).append(account_id)
    failed: BaseException | None = None
    for shard, names in by_shard.items():
        try:
            await _clean_shard(stores, shard, sorted(names))
        except STORE_ERRORS as error:
            failed = error  # one node of a cluster may be away alone
    if failed is not None:
        raise failed


async def _clean_shard(stores: Stores, shard: int, account_ids: Sequence[str]) -> None:
    left = iter(account_ids)
    while batch := list(islice(left, BATCH_MAX)):
        async with acquired(stores.pool) as connection:
            await clean_batch(connection, stores.redis, shard, batch)


async def clean_all(stores: Stores) -> None:
    """Clean what a crash or a Redis that was away has left dirty."""
    async with acquired(stores.pool) as connection:
        account_ids = await select_dirty(connection)
    await clean_accounts(stores, account_ids)


async def clean_batch(connection: Connection, redis: Redis, shard: int, account_ids: Sequence[str]) -> None:
    """The row goes first, so that an event that comes meanwhile waits, and marks its account anew."""
    async with connection.transaction():
        await lock_hand_over(connection, shard)
        dirty = await delete_dirty(connection, account_ids)
        if dirty:
            await forget_counters(redis, dirty)
