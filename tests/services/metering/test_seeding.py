"""Seeding from a ledger that must not lag behind."""

import asyncio

import msgspec
import pytest

from services.metering import seeding
from services.metering.accounts import set_plan
from services.metering.counters import read_live
from services.metering.handover import BATCH_MAX, hand_over, handing_over
from services.metering.seeding import Seeder, seed_account, seed_accounts
from services.metering.stores import Stores, redis_clock, send
from shared.messages import meter_account, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, Producer

SHARD = meter_shard(ACCOUNT)
READ, CREATE, PEEK = (0, 1, 1, 0), (0, 1, 1, 1), (0, 0, 0, 0)


@pytest.fixture(autouse=True)
async def seeded(meter: Stores) -> None:
    await seed_account(meter, ACCOUNT)


async def test_an_account_lost_alone_is_seeded_with_what_the_stream_still_holds(
    meter: Stores, gateway: Producer
) -> None:
    for _ in range(5):
        await gateway.admit(READ, CREATE)
    await send(meter.redis, "DEL", meter_account(ACCOUNT))
    await seed_account(meter, ACCOUNT)
    (state,) = await gateway.admit(PEEK)
    assert (state.calls_used, state.documents_used) == (10, 5)


async def test_a_stream_of_several_batches_is_drained_before_the_seed(
    meter: Stores, gateway: Producer
) -> None:
    now_s = int((await redis_clock(meter.redis)).timestamp())
    for seq in range(1, BATCH_MAX + 6):
        entry = (1, "gateway-2", seq, 0, [(ACCOUNT, now_s, "api_calls", 1)])
        await send(meter.redis, "XADD", meter_stream(SHARD), "*", "e", msgspec.msgpack.encode(entry))
    await send(meter.redis, "DEL", meter_account(ACCOUNT))
    await seed_account(meter, ACCOUNT)
    (state,) = await gateway.admit((0, 1, 0, 1))
    assert (state.calls_limit, state.calls_used) == (500, BATCH_MAX + 5)


async def test_a_seed_waits_for_a_hand_over_that_has_read_and_not_committed(
    meter: Stores, gateway: Producer
) -> None:
    await gateway.admit((0, 7, 1, 0))
    async with meter.pool.acquire() as connection:
        async with handing_over(connection, meter.redis, SHARD) as work:
            await work.take()
            await send(meter.redis, "FLUSHDB")
            seeds = asyncio.create_task(seed_account(meter, ACCOUNT))
            await asyncio.sleep(0.1)
            assert not seeds.done()
        await seeds
    assert (await gateway.admit(PEEK))[0].calls_used == 7


async def test_a_redis_that_lost_everything_is_rebuilt_from_the_ledger(
    meter: Stores, gateway: Producer
) -> None:
    async with meter.pool.acquire() as connection:
        await set_plan(connection, meter.redis, ACCOUNT, "growth")
        await gateway.admit((0, 9, 1, 1))
        await hand_over(connection, meter.redis, SHARD)
    await send(meter.redis, "FLUSHDB")
    await send(meter.redis, "FUNCTION FLUSH")
    await seed_account(meter, ACCOUNT)
    (state,) = await gateway.admit(PEEK)
    assert (state.calls_used, state.documents_used, state.calls_limit) == (9, 9, 10_000)


async def test_those_who_ask_while_one_is_seeded_are_the_next_batch(
    meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []
    begun = asyncio.Event()

    async def counted(stores: Stores, shard: int, wanted: dict[str, int | None]) -> None:
        batches.append(sorted(wanted))
        begun.set()
        await seed_accounts(stores, shard, wanted)

    monkeypatch.setattr(seeding, "seed_accounts", counted)
    names = [name for name in (f"acct_{number}" for number in range(200)) if meter_shard(name) == SHARD]
    seeder = Seeder(meter)
    first = asyncio.create_task(seeder.seed(names[0]))
    await begun.wait()
    await asyncio.gather(first, *(seeder.seed(name) for name in names * 3))
    assert batches == [[names[0]], sorted(names)]
    assert None not in [await read_live(meter.redis, name) for name in names]


async def test_a_caller_who_leaves_does_not_stop_the_seed_of_the_others(meter: Stores) -> None:
    seeder = Seeder(meter)
    first, second = (asyncio.create_task(seeder.seed("acct_two")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert await send(meter.redis, "HGET", meter_account("acct_two"), "calls_used") == b"0"


async def test_a_batch_larger_than_a_transaction_seeds_every_account(
    meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "SEEDS_MAX", 3)
    names = [f"acct_{number}" for number in range(100)]
    seeder = Seeder(meter)
    await asyncio.gather(*(seeder.seed(name) for name in names))
    assert None not in [await read_live(meter.redis, name) for name in names]


async def test_concurrent_seeds_and_losses_never_admit_beyond_the_quota(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await set_plan(connection, meter.redis, ACCOUNT, "free", {"api_calls": 200, "burst_per_min": None})

    async def use(producer: Producer) -> int:
        granted = 0
        for turn in range(30):
            (reply,) = await producer.admit((0, 5, 1, 0))
            granted += reply.granted
            if reply.status == 1:
                await seed_account(meter, ACCOUNT)
            elif turn % 7 == 3:
                await send(meter.redis, "DEL", meter_account(ACCOUNT))
        return granted

    granted = sum(await asyncio.gather(*(use(Producer(meter, f"gateway-{number}")) for number in range(4))))
    await seed_account(meter, ACCOUNT)
    (state,) = await Producer(meter, "last").admit(PEEK)
    assert granted == state.calls_used == 200
