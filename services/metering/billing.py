"""An account's billing terms: on which day and in which time zone its periods begin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from redis.asyncio import Redis

from services.metering.dirty import clean_batch
from services.metering.ledger import upsert_dirty
from services.metering.limits import Billing, billing_at, check_billing, period_at
from services.metering.stores import redis_clock
from shared.messages import meter_shard
from shared.postgres import Connection


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is not given stays as it is; ``check_billing`` says what may be."""

    anchor_day: Any = None
    time_zone: Any = None


class Agreed(msgspec.Struct, frozen=True):
    """The terms in force and, if a change waits for the period's end, those that follow."""

    anchor_day: int
    time_zone: str
    next: Billing | UnsetType = UNSET


async def set_billing(connection: Connection, redis: Redis, account_id: str, change: Change) -> None:
    """Let other terms begin with the next period, so that no call is in two; to be called outside a transaction.

    Raises validation_error before anything is changed. The counters are seeded anew, for one who comes at the very end
    of a period may have begun the next under the old terms.
    """
    now = await redis_clock(redis)
    async with connection.transaction():
        terms = await select_billing(connection, account_id)
        latest = billing_at(datetime.max.replace(tzinfo=now.tzinfo), terms)
        anchor_day = latest.anchor_day if change.anchor_day is None else change.anchor_day
        time_zone = latest.time_zone if change.time_zone is None else change.time_zone
        check_billing(anchor_day, time_zone)
        await upsert_billing(
            connection, account_id, Billing(period_at(now, terms).end, anchor_day, time_zone)
        )
        await upsert_dirty(connection, [account_id])
    await clean_batch(connection, redis, meter_shard(account_id), [account_id])


async def read_billing(connection: Connection, account_id: str, now: datetime) -> Agreed:
    terms = await select_billing(connection, account_id)
    current = billing_at(now, terms)
    following = [billing for billing in terms if billing.since > now]
    return Agreed(current.anchor_day, current.time_zone, following[0] if following else UNSET)


async def upsert_billing(connection: Connection, account_id: str, billing: Billing) -> None:
    await connection.execute(
        """
        insert into metering.billing (account_id, since, anchor_day, time_zone) values ($1, $2, $3, $4)
        on conflict on constraint billing_pkey do update
        set anchor_day = excluded.anchor_day, time_zone = excluded.time_zone
        """,
        account_id,
        billing.since,
        billing.anchor_day,
        billing.time_zone,
    )


async def select_billing(connection: Connection, account_id: str) -> list[Billing]:
    """Oldest first."""
    return (await select_billing_of(connection, [account_id]))[account_id]


async def select_billing_of(connection: Connection, account_ids: Sequence[str]) -> dict[str, list[Billing]]:
    """The terms of each account, oldest first."""
    rows = await connection.fetch(
        """
        select account_id, since, anchor_day, time_zone from metering.billing
        where account_id = any($1::text [])
        order by since
        """,
        account_ids,
    )
    terms: dict[str, list[Billing]] = {account_id: [] for account_id in account_ids}
    for row in rows:
        terms[row[0]].append(Billing(row[1], row[2], row[3]))
    return terms
