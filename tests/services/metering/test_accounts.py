from datetime import timedelta

import msgspec
import pytest
from redis.exceptions import RedisError

from services.metering.accounts import read_account, read_usage, set_plan
from services.metering.ledger import UsageRow, add_usage
from services.metering.limits import Limits, period_at
from services.metering.seeding import seed_account
from services.metering.settings import Settings
from services.metering.stores import Stores, redis_clock, send
from shared.errors import Problem
from shared.messages import meter_account
from shared.redis import open_redis
from tests.services.metering.conftest import ACCOUNT, Producer

READ = (0, 1, 1, 0)


async def test_a_plan_may_be_set_before_redis_knows_the_account_or_the_functions(
    meter: Stores, gateway: Producer
) -> None:
    await send(meter.redis, "FUNCTION FLUSH")
    async with meter.pool.acquire() as connection:
        await set_plan(connection, meter.redis, ACCOUNT, "growth", {"documents": None})
        account = await read_account(connection, ACCOUNT)
    assert (account.plan, account.limits) == (
        "growth",
        Limits(burst_per_min=600, api_calls=10_000, documents=None),
    )
    assert (await gateway.admit(READ))[0].status == 1
    await seed_account(meter, ACCOUNT)
    (reply,) = await gateway.admit(READ)
    assert (reply.calls_limit, reply.documents_limit) == (10_000, -1)


async def test_a_refused_plan_changes_nothing(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        with pytest.raises(Problem):
            await set_plan(connection, meter.redis, ACCOUNT, "gold")
        with pytest.raises(Problem):
            await set_plan(connection, meter.redis, ACCOUNT, "growth", {"documents": -1})
        assert (await read_account(connection, ACCOUNT)).version == 0


async def test_a_plan_that_redis_has_not_heard_of_is_stored_and_comes_with_the_next_try(
    meter: Stores, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)
    nowhere = open_redis("redis://127.0.0.1:1", timeout_s=0.1)
    async with meter.pool.acquire() as connection:
        with pytest.raises(RedisError):
            await set_plan(connection, nowhere, ACCOUNT, "scale")
        assert (await read_account(connection, ACCOUNT)).plan == "scale"
        await set_plan(connection, meter.redis, ACCOUNT, "scale")
    assert (await gateway.admit(READ))[0].calls_limit == 500_000


async def test_usage_is_live(meter: Stores, gateway: Producer) -> None:
    await seed_account(meter, ACCOUNT)
    await gateway.admit((0, 3, 1, 0), (0, 2, 1, 1))
    async with meter.pool.acquire() as connection:
        usage = await read_usage(connection, meter.redis, ACCOUNT)
    period = period_at(await redis_clock(meter.redis))
    assert msgspec.to_builtins(usage) == {
        "plan": "free",
        "period": {"start": period.start.date().isoformat(), "end": period.last_day.isoformat()},
        "documents": {"used": 2, "limit": 20},
        "api_calls": {"used": 5, "limit": 500},
    }


async def test_usage_is_the_ledgers_when_redis_has_none_or_is_away(meter: Stores, settings: Settings) -> None:
    assert settings.redis_url
    nowhere = open_redis("redis://127.0.0.1:1", timeout_s=0.1)
    start = period_at(await redis_clock(meter.redis)).start
    rows = [
        UsageRow(ACCOUNT, "api_calls", start, 4),
        UsageRow(ACCOUNT, "api_calls", start - timedelta(hours=1), 9),
    ]
    async with meter.pool.acquire() as connection:
        await add_usage(connection, rows)
        for redis in (meter.redis, nowhere):
            assert (await read_usage(connection, redis, ACCOUNT)).api_calls.used == 4


async def test_counters_of_an_earlier_period_are_not_this_periods_usage(
    meter: Stores, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)
    await gateway.admit((0, 3, 1, 0))
    await send(meter.redis, "HSET", meter_account(ACCOUNT), "start", 1, "end", 2)
    async with meter.pool.acquire() as connection:
        assert (await read_usage(connection, meter.redis, ACCOUNT)).api_calls.used == 0
