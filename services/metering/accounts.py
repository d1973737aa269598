"""What an operator's command and the routes may do with an account: its plan and its usage."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import msgspec
from msgspec import UNSET, UnsetType
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.metering.billing import select_billing
from services.metering.counters import Live, publish_limits, read_live
from services.metering.history import Day, days_of, read_days
from services.metering.ledger import Account, select_account, select_used, upsert_account
from services.metering.limits import Period, check_terms, period_at, period_named
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
    history: list[Day] | UnsetType = UNSET
    """Only when asked for."""


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


async def read_usage(
    connection: Connection,
    redis: Redis,
    account_id: str,
    *,
    period: str | None = None,
    with_days: bool = False,
) -> Usage:
    """The current period's usage: live from Redis, or the ledger's when Redis has none or is away.

    ``period`` names another one, whose usage is the ledger's; the limits are always those of now. Raises
    invalid_parameter.
    """
    account = await select_account(connection, account_id)
    terms = await select_billing(connection, account_id)
    now, live = await _read_meter(redis, account_id)
    asked = period_at(now, terms) if period is None else period_named(period, now, terms)
    used = live.used if live and _is_of(live, asked) else await select_used(connection, account_id, asked)
    return Usage(
        plan=account.plan,
        period=Days(asked.first_day, asked.last_day),
        documents=Share(used.documents, account.limits.documents),
        api_calls=Share(used.api_calls, account.limits.api_calls),
        history=await _read_days(connection, account_id, asked, now) if with_days else UNSET,
    )


async def _read_days(connection: Connection, account_id: str, period: Period, now: datetime) -> list[Day]:
    return await read_days(connection, account_id, days_of(period, now), period.time_zone)


async def _read_meter(redis: Redis, account_id: str) -> tuple[datetime, Live | None]:
    """The meter's time, and the live counters if Redis has them; our own time when it is away."""
    try:
        return await redis_clock(redis), await read_live(redis, account_id)
    except (RedisError, OSError):
        return datetime.now(UTC), None


def _is_of(live: Live, period: Period) -> bool:
    return live.period_start_s == int(period.start.timestamp())
