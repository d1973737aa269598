"""The batches of admission against a real meter: one round trip a tick, and replies that are lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.api.admission import Admission, Decision, StaleGenerationError
from services.api.meter import Command, Meter, OneNode
from services.metering.counters import Seed, publish_key_generation, seed_counters
from services.metering.ledger import Account, Used
from services.metering.library import ensure_library, read_library
from services.metering.limits import period_at
from services.metering.stores import redis_clock
from shared.errors import Problem
from shared.messages import METER_SHARDS, meter_account, meter_shard
from shared.redis import open_redis

ENTERPRISE = Account(plan="enterprise", version=1)


@pytest.fixture
async def meter(redis_url: str) -> AsyncIterator[Redis]:
    redis = open_redis(redis_url, timeout_s=2)
    await ensure_library(redis, read_library())
    yield redis
    await redis.aclose()


class Watched(Meter):
    """A meter that counts its round trips, and loses replies, or all its data, when told to."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(OneNode(redis))
        self.trips: list[int] = []
        self.lose: list[Exception] = []
        self.loss = ""

    async def _send_to(self, node: Redis, commands: Mapping[int, Command]) -> dict[int, Any]:
        self.trips.append(len(commands))
        replies = await super()._send_to(node, commands)
        if self.loss:
            await node.execute_command(self.loss)
        return dict.fromkeys(commands, self.lose.pop()) if self.lose else replies


class Gateway(Admission):
    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.meter = Watched(redis)
        super().__init__(self.meter, self._seed_account)

    async def _seed_account(self, account_id: str, generation: int | None) -> None:
        period = period_at(await redis_clock(self.redis))
        if generation is not None:
            await publish_key_generation(self.redis, account_id, generation)
        await seed_counters(self.redis, [Seed(account_id, ENTERPRISE, period, Used(0, 0))])

    async def read(self, account_id: str) -> Decision:
        return await self.admit(account_id, 0, calls=1, documents=0)


@pytest.fixture
async def gateway(meter: Redis) -> Gateway:
    gateway = Gateway(meter)
    for account_id in ACCOUNTS:
        await gateway.seed(account_id, 0)
    return gateway


ACCOUNTS = [f"acct_{number}" for number in range(40)]
LOST = [RedisConnectionError("cut"), RedisTimeoutError("late")]


async def used(gateway: Gateway, account_id: str = ACCOUNTS[0]) -> int:
    held: Any = gateway.redis.hget(meter_account(account_id), "calls_used")
    return int(await held)


async def test_all_that_wait_in_a_tick_go_in_one_round_trip(gateway: Gateway) -> None:
    assert {meter_shard(account_id) for account_id in ACCOUNTS} == {*range(METER_SHARDS)}
    before = await _calls(gateway.redis)
    await asyncio.gather(*(gateway.read(account_id) for account_id in ACCOUNTS * 5))
    assert gateway.meter.trips == [METER_SHARDS]
    assert await _calls(gateway.redis) - before == METER_SHARDS
    assert [await used(gateway, account_id) for account_id in ACCOUNTS] == [5] * len(ACCOUNTS)


async def _calls(redis: Redis) -> int:
    return (await redis.info("commandstats")).get("cmdstat_fcall", {"calls": 0})["calls"]


async def test_those_who_come_while_a_batch_is_under_way_are_the_next_one(gateway: Gateway) -> None:
    async def one(delay: int) -> None:
        for _ in range(delay):
            await asyncio.sleep(0)
        await gateway.read(ACCOUNTS[0])

    await asyncio.gather(*(one(delay) for delay in range(3)))
    assert len(gateway.meter.trips) == 2
    assert await used(gateway) == 3


@pytest.mark.parametrize("error", LOST, ids=["cut", "late"])
async def test_a_lost_reply_is_asked_for_again_and_counted_once(gateway: Gateway, error: Exception) -> None:
    gateway.meter.lose = [error]
    decisions = await asyncio.gather(*(gateway.read(ACCOUNTS[0]) for _ in range(3)))
    assert [decision.granted for decision in decisions] == [True] * 3
    assert (gateway.meter.trips, await used(gateway)) == ([1, 1], 3)


async def test_a_reply_that_is_lost_twice_is_an_outage_and_counted_once(gateway: Gateway) -> None:
    gateway.meter.lose = [*LOST]
    with pytest.raises(Problem, match="cannot be counted"):
        await gateway.read(ACCOUNTS[0])
    await _answering(gateway)
    await gateway.read(ACCOUNTS[0])
    assert await used(gateway) == 2


async def _answering(gateway: Gateway, account_id: str = ACCOUNTS[0]) -> None:
    async with asyncio.timeout(5):
        while gateway.meter.is_away(meter_shard(account_id)):  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("loss", ["FLUSHDB", "FUNCTION FLUSH"])
async def test_a_reply_that_was_lost_with_the_meters_data_is_not_asked_for_anew(
    gateway: Gateway, loss: str
) -> None:
    """The call may be in the ledger already, so that a second one would be a double count."""
    gateway.meter.lose.append(RedisConnectionError("cut"))
    gateway.meter.loss = loss
    with pytest.raises(Problem, match="cannot be counted"):
        await gateway.read(ACCOUNTS[0])
    await ensure_library(gateway.redis, read_library())


async def test_a_meter_that_lost_its_data_asks_for_the_key_and_a_seed(gateway: Gateway) -> None:
    await gateway.redis.flushdb()
    with pytest.raises(StaleGenerationError) as told:
        await gateway.read(ACCOUNTS[0])
    assert told.value.unseeded
    await gateway.seed(ACCOUNTS[0], 0)
    assert (await gateway.read(ACCOUNTS[0])).calls_used == 1
