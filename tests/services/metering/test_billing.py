"""Billing terms on real stores: they begin with a period, and Redis, ledger and usage keep to them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.metering.accounts import read_usage
from services.metering.billing import (
    Agreed,
    Change,
    read_billing,
    select_billing,
    select_billing_of,
    set_billing,
    upsert_billing,
)
from services.metering.entries import decode_entry
from services.metering.events import bucket_of
from services.metering.handover import hand_over
from services.metering.limits import Billing, Period, check_billing, period_at
from services.metering.seeding import seed_account
from services.metering.stores import Stores, redis_clock
from shared.errors import Problem
from shared.messages import meter_account, meter_shard
from tests.services.metering.conftest import ACCOUNT, Clocked, Producer

ALWAYS = datetime(2020, 1, 1, tzinfo=UTC)
KOLKATA = Billing(ALWAYS, 15, "Asia/Kolkata")
PEEK, READ = (0, 0, 0, 0), (0, 1, 1, 0)


async def agreed(meter: Stores, billing: Billing = KOLKATA) -> Period:
    """Terms that have long been in force, and the period that runs by them."""
    async with meter.pool.acquire() as connection:
        await upsert_billing(connection, ACCOUNT, billing)
    return period_at(await redis_clock(meter.redis), [billing])


async def test_a_seed_is_of_the_accounts_own_period(meter: Stores, gateway: Producer) -> None:
    period = await agreed(meter)
    await seed_account(meter, ACCOUNT)
    (reply,) = await gateway.admit(READ)
    bounds = (int(period.start.timestamp()), int(period.end.timestamp()))
    assert (reply.period_start_s, reply.period_end_s, reply.calls_used) == (*bounds, 1)


async def test_usage_is_told_by_the_accounts_own_days(meter: Stores, gateway: Producer) -> None:
    period = await agreed(meter)
    await seed_account(meter, ACCOUNT)
    await gateway.admit((0, 3, 1, 1))
    async with meter.pool.acquire() as connection:
        await hand_over(connection, meter.redis, meter_shard(ACCOUNT))
        usage = await read_usage(connection, meter.redis, ACCOUNT, with_days=True)
        past = await read_usage(connection, meter.redis, ACCOUNT, period="2024-02")
    assert (usage.period.start, usage.period.end) == (period.first_day, period.last_day)
    assert (usage.period.start.day, usage.period.end.day) == (15, 14)
    assert isinstance(usage.history, list)
    assert (usage.history[0].date, sum(day.documents for day in usage.history)) == (period.first_day, 3)
    assert (past.period.start, past.period.end) == (date(2024, 2, 15), date(2024, 3, 14))


async def test_a_change_leaves_the_period_that_runs_and_what_was_used_in_it(
    meter: Stores, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)
    (before,) = await gateway.admit((0, 5, 1, 1))
    async with meter.pool.acquire() as connection:
        await set_billing(connection, meter.redis, ACCOUNT, Change(15, "Europe/Paris"))
        terms = await select_billing(connection, ACCOUNT)
    assert (await gateway.admit(PEEK))[0].status == 1
    await seed_account(meter, ACCOUNT)
    (after,) = await gateway.admit(PEEK)
    assert (after.period_start_s, after.period_end_s) == (before.period_start_s, before.period_end_s)
    assert (after.calls_used, after.documents_used) == (5, 5)
    (billing,) = terms
    assert int(billing.since.timestamp()) == before.period_end_s
    following = period_at(billing.since, terms)
    assert following.start == billing.since
    assert following.last_day.day == 14


async def test_a_change_may_be_changed_until_it_begins(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        for change in (Change(15), Change(None, "Europe/Paris"), Change(3)):
            await set_billing(connection, meter.redis, ACCOUNT, change)
        (billing,) = await select_billing(connection, ACCOUNT)
        now = await redis_clock(meter.redis)
        assert (billing.anchor_day, billing.time_zone) == (3, "Europe/Paris")
        assert await read_billing(connection, ACCOUNT, now) == Agreed(1, "UTC", billing)
        assert await read_billing(connection, ACCOUNT, billing.since) == Agreed(3, "Europe/Paris")
        assert await select_billing_of(connection, [ACCOUNT, "acct_two"]) == {
            ACCOUNT: [billing],
            "acct_two": [],
        }


@pytest.mark.parametrize("day", [0, 29, -1, 1.0, "1", True, None, 10**30])
def test_only_a_day_that_every_month_has_can_be_agreed(day: object) -> None:
    with pytest.raises(Problem) as raised:
        check_billing(day, "UTC")
    assert list(raised.value.details or {}) == ["billing.anchor_day"]


@pytest.mark.parametrize(
    "zone", ["", "Mars/Base", "../etc/passwd", "/etc/localtime", "a\x00", "x" * 5000, 1, None, "posixrules"]
)
def test_only_a_zone_that_everyone_knows_can_be_agreed(zone: object) -> None:
    with pytest.raises(Problem) as raised:
        check_billing(1, zone)
    assert list(raised.value.details or {}) == ["billing.time_zone"]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+12", "Asia/Kathmandu"]
)
def test_known_zones_can_be_agreed(zone: str) -> None:
    check_billing(28, zone)


async def test_what_is_counted_before_a_half_hours_start_is_not_in_the_period(meter: Stores) -> None:
    """The ledger's rows of an hour in which a period begins are two."""
    period = await agreed(meter)
    async with meter.pool.acquire() as connection:
        await connection.executemany(
            "insert into metering.usage (account_id, metric, hour, amount) values ($1, 'api_calls', $2, $3)",
            [(ACCOUNT, period.start - timedelta(minutes=30), 100), (ACCOUNT, period.start, 7)],
        )
    await seed_account(meter, ACCOUNT)
    assert (await Producer(meter).admit(PEEK))[0].calls_used == 7


@pytest.mark.parametrize(
    ("at", "bucket"),
    [("18:30:00", "18:30:00"), ("18:59:59", "18:30:00"), ("19:00:00", "19:00:00")],
)
def test_a_call_in_the_half_hour_in_which_a_period_begins_is_counted_from_its_start(
    clocked: Clocked, at: str, bucket: str
) -> None:
    period = period_at(datetime(2026, 3, 15, tzinfo=UTC), [KOLKATA])
    bounds = (int(period.start.timestamp()), int(period.end.timestamp()))
    clocked.set(int(datetime.fromisoformat(f"2026-03-14T{at}Z").timestamp()) * 1_000_000)
    clocked.call("clocked_seed_v1", 1, meter_account(ACCOUNT), 0, 60, -1, -1, *bounds, 0, 0)
    assert clocked.read().status == 0
    (counted,) = decode_entry(clocked.last_entry()).counted
    assert counted.bucket_s == int(datetime.fromisoformat(f"2026-03-14T{bucket}Z").timestamp())
    assert counted.bucket_s == int(
        bucket_of(datetime.fromisoformat(f"2026-03-14T{at}Z"), [KOLKATA]).timestamp()
    )


def test_a_call_at_the_end_of_an_accounts_own_period_has_it_seeded_anew(clocked: Clocked) -> None:
    period = period_at(datetime(2026, 3, 15, tzinfo=UTC), [KOLKATA])
    bounds = (int(period.start.timestamp()), int(period.end.timestamp()))
    clocked.set(bounds[1] * 1_000_000 - 1)
    clocked.call("clocked_seed_v1", 1, meter_account(ACCOUNT), 0, 60, 1, -1, *bounds, 0, 0)
    assert [reply.granted for reply in clocked.admit((0, 1, 1, 0), (0, 1, 1, 0))] == [1, 0]
    clocked.advance(1)
    assert clocked.read().status == 1
