"""The hand-over, exactly once, through injected crashes and entries that cannot be counted."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from services.metering import handover
from services.metering.handover import BATCH_MAX, hand_over, poison_stream
from services.metering.ledger import UsageRow, Used, add_usage, select_used
from services.metering.limits import period_at
from services.metering.seeding import seed_account
from services.metering.stores import Stores, redis_clock, send
from shared.messages import meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, Producer

SHARD = meter_shard(ACCOUNT)
STREAM = meter_stream(SHARD)
READ, CREATE = (0, 1, 1, 0), (0, 1, 1, 1)


class KilledError(Exception):
    """Stands for the process's end at this very line."""


async def killed(*_: object) -> None:
    raise KilledError


@pytest.fixture(autouse=True)
async def seeded(meter: Stores) -> None:
    await seed_account(meter, ACCOUNT)


async def drain(meter: Stores) -> int:
    async with meter.pool.acquire() as connection:
        return await hand_over(connection, meter.redis, SHARD)


async def in_ledger(meter: Stores) -> Used:
    async with meter.pool.acquire() as connection:
        return await select_used(connection, ACCOUNT, period_at(await redis_clock(meter.redis)))


async def length(meter: Stores, stream: str = STREAM) -> int:
    return await send(meter.redis, "XLEN", stream)


async def put(meter: Stores, *entry: object) -> None:
    await send(meter.redis, "XADD", STREAM, "*", "e", msgspec.msgpack.encode(entry))


async def test_what_was_admitted_is_in_the_ledger_once_and_gone_from_the_stream(
    meter: Stores, gateway: Producer
) -> None:
    for _ in range(10):
        await gateway.admit(READ, CREATE)
    assert await drain(meter) == 10
    assert await drain(meter) == 0
    assert (await in_ledger(meter), await length(meter)) == (Used(20, 10), 0)


async def test_a_crash_between_commit_and_trim_doubles_nothing(
    meter: Stores, gateway: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.admit(CREATE)
    with monkeypatch.context() as patch:
        patch.setattr(handover, "_delete", killed)
        with pytest.raises(KilledError):
            await drain(meter)
    assert (await in_ledger(meter), await length(meter)) == (Used(1, 1), 1)
    await gateway.admit(READ)
    assert await drain(meter) == 2
    assert (await in_ledger(meter), await length(meter)) == (Used(2, 1), 0)


async def test_a_crash_before_the_commit_loses_nothing(
    meter: Stores, gateway: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.admit(CREATE)

    def crashing(step: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def then_crash(*given: object) -> None:
            await step(*given)
            raise KilledError

        return then_crash

    for step in ("advance_fences", "add_usage"):
        with monkeypatch.context() as patch:
            patch.setattr(handover, step, crashing(getattr(handover, step)))
            with pytest.raises(KilledError):
                await drain(meter)
        assert (await in_ledger(meter), await length(meter)) == (Used(0, 0), 1)
    await drain(meter)
    assert await in_ledger(meter) == Used(1, 1)


async def test_an_entry_under_another_id_is_known_by_its_producer_and_seq(
    meter: Stores, gateway: Producer
) -> None:
    await gateway.admit(CREATE)
    ((_, fields),) = await send(meter.redis, "XRANGE", STREAM, "-", "+")
    await drain(meter)
    await send(meter.redis, "XADD", STREAM, "*", "e", fields[b"e"])
    await drain(meter)
    assert await in_ledger(meter) == Used(1, 1)


async def test_entries_of_a_redis_that_lost_its_data_count_though_their_ids_are_lower(
    meter: Stores, gateway: Producer
) -> None:
    await send(meter.redis, "XADD", STREAM, "99999999999999-0", "e", b"")
    await gateway.admit(CREATE)
    await drain(meter)
    await send(meter.redis, "DEL", STREAM)
    await gateway.admit(CREATE)
    await drain(meter)
    assert await in_ledger(meter) == Used(2, 2)


async def test_many_hand_overs_at_once_count_each_entry_once(meter: Stores) -> None:
    producers = [Producer(meter, f"gateway-{number}") for number in range(3)]

    async def admit(producer: Producer) -> None:
        for _ in range(15):
            await producer.admit(READ)

    await asyncio.gather(*map(admit, producers), *(drain(meter) for _ in range(12)))
    await drain(meter)
    assert (await in_ledger(meter), await length(meter)) == (Used(45, 0), 0)


async def test_a_long_stream_goes_in_batches_from_its_head(meter: Stores) -> None:
    hour_s = int((await redis_clock(meter.redis)).timestamp())
    for seq in range(1, BATCH_MAX + 11):
        await put(meter, 1, "p", seq, 0, [(ACCOUNT, hour_s, "api_calls", 1)])
    assert [await drain(meter) for _ in range(3)] == [BATCH_MAX, 10, 0]
    assert await in_ledger(meter) == Used(BATCH_MAX + 10, 0)


async def test_an_entry_that_cannot_be_read_is_set_aside_and_blocks_nothing(
    meter: Stores, gateway: Producer
) -> None:
    await gateway.admit(READ)
    await put(meter, 99, "p", 1, 0, [])
    await send(meter.redis, "XADD", STREAM, "*", "other", "field")
    await gateway.admit(READ)
    await drain(meter)
    assert (await in_ledger(meter), await length(meter)) == (Used(2, 0), 0)
    aside = await send(meter.redis, "XRANGE", poison_stream(SHARD), "-", "+")
    assert [set(fields) for _, fields in aside] == [{b"id", b"error", b"e"}, {b"id", b"error", b"other"}]


async def test_an_entry_that_postgres_refuses_is_set_aside_alone(meter: Stores, gateway: Producer) -> None:
    now = await redis_clock(meter.redis)
    hour = now.replace(minute=0, second=0, microsecond=0)
    async with meter.pool.acquire() as connection:
        await add_usage(connection, [UsageRow("acct_full", "api_calls", hour, 2**63 - 1)])
    await gateway.admit(READ)
    await put(meter, 1, "p", 1, 0, [("acct_full", int(hour.timestamp()), "api_calls", 1)])
    await gateway.admit(READ)
    await drain(meter)
    assert (await in_ledger(meter), await length(meter)) == (Used(2, 0), 0)
    assert await length(meter, poison_stream(SHARD)) == 1
