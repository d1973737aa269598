"""The live counters in Redis, one hash per account: seeding, limits, generations and reads.

What the functions and the hash's fields mean stands at the head of admission.lua.
"""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from services.metering.ledger import Account, Used
from services.metering.library import (
    FORGET_FUNCTION,
    GENERATION_FUNCTION,
    LIMITS_FUNCTION,
    SEED_FUNCTION,
    call_function,
    call_on_keys,
)
from services.metering.limits import Limits, Period
from services.metering.stores import send
from shared.messages import meter_account

UNLIMITED = -1


class Live(msgspec.Struct, frozen=True):
    """What an account has used in the period that starts at ``period_start_s``, in Unix seconds."""

    period_start_s: int
    used: Used


async def seed_counters(redis: Redis, account_id: str, account: Account, period: Period, used: Used) -> bool:
    """False when the account has live counters of this period or a later one, which are left alone."""
    seeded = await call_function(
        redis,
        SEED_FUNCTION,
        meter_account(account_id),
        account.version,
        *_cells(account.limits),
        int(period.start.timestamp()),
        int(period.end.timestamp()),
        used.api_calls,
        used.documents,
    )
    return bool(seeded)


async def publish_limits(redis: Redis, account_id: str, account: Account) -> None:
    """Make the limits hold from the next call on; newer ones that are there already stay."""
    await call_function(
        redis, LIMITS_FUNCTION, meter_account(account_id), account.version, *_cells(account.limits)
    )


async def publish_key_generation(redis: Redis, account_id: str, generation: int) -> None:
    """From the next call on, a key record of an older generation is stale."""
    await call_function(redis, GENERATION_FUNCTION, meter_account(account_id), generation)


async def forget_counters(redis: Redis, account_ids: Sequence[str]) -> None:
    """Have accounts of one shard seeded from the ledger before their next calls; limits and generation stay."""
    await call_on_keys(redis, FORGET_FUNCTION, [meter_account(account_id) for account_id in account_ids])


async def read_live(redis: Redis, account_id: str) -> Live | None:
    """None for an account without counters."""
    found = await send(redis, "HMGET", meter_account(account_id), "start", "calls_used", "docs_used")
    if found[0] is None:
        return None
    return Live(int(found[0]), Used(int(found[1]), int(found[2])))


def _cells(limits: Limits) -> tuple[int, int, int]:
    cells = (limits.burst_per_min, limits.api_calls, limits.documents)
    burst, calls, documents = (UNLIMITED if cell is None else cell for cell in cells)
    return burst, calls, documents
