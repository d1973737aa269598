"""What an operator's command and the routes may do with an account: its plan and its usage."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.metering.counters import Live, publish_limits, read_live
from services.metering.ledger import Account, Used, select_account, select_used, upsert_account
from services.metering.limits import Period, check_terms, period_at
from services.metering.stores import redis_clock
from shared.postgres import Connection


class Days(msgspec.Struct, frozen=True):
    """The period's first and last day, both inclusive."""

    start: date
    end: date


class Share(msgspec.Struct, frozen=True):
    used: int
    limit: int | None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What `/v1/usage` answers, in its documented shape."""

    plan: str
    period: Days
    documents: Share
    api_calls: Share


async def set_plan(
    connection: Connection,
    redis: Redis,
    account_id: str,
    plan: str,
    overrides: Mapping[str, int | None] | None = None,
) -> None:
    """Store the plan and make it hold from the next call on; to be called outside a transaction.

    ``overrides`` maps `burst_per_min`, `api_calls`, `documents` to a number, or to None for unlimited, and replaces the
    account's; without it they stay. Raises validation_error before anything is changed, and a redis error when the plan
    is stored but not in force yet: calling again completes it.
    """
    checked = check_terms(plan, overrides or {})
    account = await upsert_account(
        connection, account_id, plan=plan, overrides=None if overrides is None else checked
    )
    await publish_limits(redis, account_id, account)


async def read_account(connection: Connection, account_id: str) -> Account:
    """An account that metering does not know is on the free plan."""
    return await select_account(connection, account_id)


async def read_usage(connection: Connection, redis: Redis, account_id: str) -> Usage:
    """The current period's usage: live from Redis, or the ledger's when Redis has none or is away."""
    account = await select_account(connection, account_id)
    period, used = await _read_meter(redis, account_id)
    if used is None:
        used = await select_used(connection, account_id, period)
    return Usage(
        plan=account.plan,
        period=Days(period.start.date(), period.last_day),
        documents=Share(used.documents, account.limits.documents),
        api_calls=Share(used.api_calls, account.limits.api_calls),
    )


async def _read_meter(redis: Redis, account_id: str) -> tuple[Period, Used | None]:
    """The period, and its live counters if Redis has them."""
    try:
        now, live = await redis_clock(redis), await read_live(redis, account_id)
    except (RedisError, OSError):
        return period_at(datetime.now(UTC)), None
    period = period_at(now)
    return (period, live.used) if live and _is_of(live, period) else (period, None)


def _is_of(live: Live, period: Period) -> bool:
    return live.period_start_s == int(period.start.timestamp())
