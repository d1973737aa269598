"""The live counters in Redis, one hash per account: seeding, limits, generations and reads.

What the functions and the hash's fields mean stands at the head of admission.lua.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from services.metering.ledger import Account, Used
from services.metering.library import (
    FORGET_FUNCTION,
    GENERATION_FUNCTION,
    LIMITS_FUNCTION,
    LIVE_FUNCTION,
    SEED_FUNCTION,
    call_function,
    call_many,
    call_on_keys,
)
from services.metering.limits import Limits, Period
from shared.messages import meter_account

UNLIMITED = -1
GENERATION_UNKNOWN = 0


class Live(msgspec.Struct, frozen=True):
    """What an account has used in the period that starts at ``period_start_s``, in Unix seconds."""

    period_start_s: int
    used: Used


class Seed(msgspec.Struct, frozen=True):
    """What the ledger knows of an account in its period."""

    account_id: str
    account: Account
    period: Period
    used: Used


async def seed_counters(redis: Redis, seeds: Sequence[Seed]) -> list[bool]:
    """False for an account that has trusted counters of its period or a later one, which are left alone."""
    return [bool(seeded) for seeded in await call_many(redis, [_seed_call(seed) for seed in seeds])]


def _seed_call(seed: Seed) -> tuple[Any, ...]:
    return (
        SEED_FUNCTION,
        1,
        meter_account(seed.account_id),
        seed.account.version,
        *_cells(seed.account.limits),
        int(seed.period.start.timestamp()),
        int(seed.period.end.timestamp()),
        seed.used.api_calls,
        seed.used.documents,
        GENERATION_UNKNOWN,
    )


async def publish_limits(redis: Redis, account_id: str, account: Account) -> None:
    """Make the limits hold from the next call on; newer ones that are there already stay."""
    await call_function(
        redis, LIMITS_FUNCTION, meter_account(account_id), account.version, *_cells(account.limits)
    )


async def publish_key_generation(redis: Redis, account_id: str, generation: int) -> None:
    """From the next call on, a key record of an older generation is stale; it must just have been read."""
    await publish_key_generations(redis, {account_id: generation})


async def publish_key_generations(redis: Redis, generations: Mapping[str, int]) -> None:
    calls = [(GENERATION_FUNCTION, 1, meter_account(name), value) for name, value in generations.items()]
    await call_many(redis, calls)


async def forget_counters(redis: Redis, account_ids: Sequence[str]) -> None:
    """Have accounts of one shard seeded from the ledger before their next calls; limits and generation stay."""
    await call_on_keys(redis, FORGET_FUNCTION, [meter_account(account_id) for account_id in account_ids])


async def read_live(redis: Redis, account_id: str) -> Live | None:
    """None for an account without counters that Redis may be trusted with."""
    return (await read_lives(redis, [account_id]))[0]


async def read_lives(redis: Redis, account_ids: Sequence[str]) -> list[Live | None]:
    found = await call_many(redis, [(LIVE_FUNCTION, 1, meter_account(name)) for name in account_ids])
    return [Live(row[0], Used(row[1], row[2])) if row else None for row in found]


def _cells(limits: Limits) -> tuple[int, int, int]:
    cells = (limits.burst_per_min, limits.api_calls, limits.documents)
    burst, calls, documents = (UNLIMITED if cell is None else cell for cell in cells)
    return burst, calls, documents
