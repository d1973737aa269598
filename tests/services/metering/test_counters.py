import asyncio

import msgspec
import pytest

from services.metering.counters import (
    Seed,
    forget_counters,
    publish_key_generation,
    publish_limits,
    read_live,
    seed_counters,
)
from services.metering.ledger import Account, Used
from services.metering.limits import Period, check_terms, period_at
from services.metering.stores import Stores, redis_clock
from tests.services.metering.conftest import ACCOUNT, Producer

PEEK, READ = (0, 0, 0, 0), (0, 1, 1, 0)
FREE = Account()


@pytest.fixture
def database_url() -> str:
    """These tests need no ledger."""
    return "postgresql://nobody@127.0.0.1:1/none"


async def this_period(meter: Stores) -> Period:
    return period_at(await redis_clock(meter.redis))


async def seed(meter: Stores, account: Account, period: Period, used: Used) -> bool:
    await publish_key_generation(meter.redis, ACCOUNT, 0)
    (seeded,) = await seed_counters(meter.redis, [Seed(ACCOUNT, account, period, used)])
    return seeded


async def test_a_seed_gives_the_ledgers_counts(meter: Stores, gateway: Producer) -> None:
    period = await this_period(meter)
    assert await seed(meter, FREE, period, Used(7, 3))
    (reply,) = await gateway.admit(PEEK)
    assert (reply.calls_used, reply.documents_used) == (7, 3)
    bounds = (int(period.start.timestamp()), int(period.end.timestamp()))
    assert (reply.period_start_s, reply.period_end_s) == bounds


async def test_a_second_seed_of_the_period_changes_no_counter(meter: Stores, gateway: Producer) -> None:
    period = await this_period(meter)
    await seed(meter, FREE, period, Used(7, 3))
    await gateway.admit((0, 2, 1, 1))
    for used in (Used(0, 0), Used(7, 3), Used(100, 100)):
        assert not await seed(meter, FREE, period, used)
    (reply,) = await gateway.admit(PEEK)
    assert (reply.calls_used, reply.documents_used) == (9, 5)


async def test_a_forgotten_account_is_seeded_before_its_next_call(meter: Stores, gateway: Producer) -> None:
    await forget_counters(meter.redis, [ACCOUNT])
    period = await this_period(meter)
    await seed(meter, FREE, period, Used(7, 3))
    await publish_key_generation(meter.redis, ACCOUNT, 4)
    for _ in range(2):
        await forget_counters(meter.redis, [ACCOUNT])
        assert (await gateway.admit((4, 1, 1, 0)))[0].status == 1
    assert await seed(meter, FREE, period, Used(9, 5))
    stale, counted = await gateway.admit((3, 1, 1, 0), (4, 1, 1, 0))
    assert stale.status == 2
    assert (counted.calls_used, counted.documents_used) == (10, 5)


async def test_only_the_first_of_many_seeds_counts(meter: Stores) -> None:
    period = await this_period(meter)
    seeds = [seed(meter, FREE, period, Used(n, n)) for n in range(20)]
    assert sum(await asyncio.gather(*seeds)) == 1


async def test_a_new_period_replaces_the_old_and_never_the_reverse(meter: Stores, gateway: Producer) -> None:
    period = await this_period(meter)
    before = period_at(period.start.replace(day=1) - (period.end - period.start) / 2)
    await seed(meter, FREE, before, Used(400, 9))
    assert (await gateway.admit(READ))[0].status == 1
    assert await seed(meter, FREE, period, Used(0, 0))
    assert (await gateway.admit(READ))[0].calls_used == 1
    assert not await seed(meter, FREE, before, Used(400, 9))
    assert (await gateway.admit(READ))[0].calls_used == 2


async def test_limits_hold_from_the_next_call_on(meter: Stores, gateway: Producer) -> None:
    await seed(meter, FREE, await this_period(meter), Used(0, 0))
    growth = Account(plan="growth", version=1)
    await publish_limits(meter.redis, ACCOUNT, growth)
    (reply,) = await gateway.admit(READ)
    assert (reply.burst_limit, reply.calls_limit, reply.documents_limit) == (600, 10_000, 1_000)


async def test_older_limits_never_replace_newer_ones(meter: Stores, gateway: Producer) -> None:
    newer = Account(plan="scale", version=5, overrides=check_terms("scale", {"documents": None}))
    await publish_limits(meter.redis, ACCOUNT, newer)
    await publish_limits(meter.redis, ACCOUNT, msgspec.structs.replace(newer, plan="free", version=4))
    await seed(meter, FREE, await this_period(meter), Used(0, 0))
    (reply,) = await gateway.admit(READ)
    assert (reply.calls_limit, reply.documents_limit) == (500_000, -1)


async def test_a_revoked_key_is_stale_on_the_next_call(meter: Stores, gateway: Producer) -> None:
    await seed(meter, FREE, await this_period(meter), Used(0, 0))
    assert (await gateway.admit(READ))[0].status == 0
    await publish_key_generation(meter.redis, ACCOUNT, 1)
    assert (await gateway.admit(READ))[0].status == 2


async def test_a_generation_only_grows(meter: Stores, gateway: Producer) -> None:
    await seed(meter, FREE, await this_period(meter), Used(0, 0))
    await publish_key_generation(meter.redis, ACCOUNT, 6)
    await publish_key_generation(meter.redis, ACCOUNT, 2)
    assert [reply.status for reply in await gateway.admit((5, 1, 1, 0), (6, 1, 1, 0))] == [2, 0]


async def test_a_hash_of_limits_alone_is_no_live_counter(meter: Stores) -> None:
    await publish_limits(meter.redis, ACCOUNT, Account(plan="growth", version=1))
    assert await read_live(meter.redis, ACCOUNT) is None


async def test_a_ledger_below_zero_seeds_zero(meter: Stores, gateway: Producer) -> None:
    await seed(meter, FREE, await this_period(meter), Used(0, -2))
    assert (await gateway.admit(PEEK))[0].documents_used == 0
