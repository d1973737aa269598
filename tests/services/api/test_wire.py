"""The wire: whole batches over one connection, which fails as the client does and is made anew."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from proxy import Proxy
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.api.wire import Wire
from shared.redis import open_redis

TIMEOUT_S = 0.3


@pytest.fixture
async def proxy(redis_url: str) -> AsyncGenerator[Proxy]:
    between = Proxy(redis_url)
    await between.start()
    yield between
    await between.aclose()


@pytest.fixture
async def redis(proxy: Proxy) -> AsyncGenerator[Redis]:
    client = open_redis(proxy.url, timeout_s=TIMEOUT_S)
    yield client
    await client.aclose()


@pytest.fixture
async def wire(redis: Redis) -> AsyncGenerator[Wire]:
    opened = Wire(redis)
    yield opened
    await opened.aclose()


async def test_replies_come_in_order_and_an_error_is_one_of_them(wire: Wire) -> None:
    replies = await wire.exchange([("SET", "one", 1), ("INCR", "one"), ("NONSENSE",), ("GET", "one")])
    assert replies[:2] == [b"OK", 2]
    assert isinstance(replies[2], ResponseError)
    assert replies[3] == b"2"


async def test_a_batch_larger_than_one_read_is_whole(wire: Wire) -> None:
    replies = await wire.exchange([("ECHO", "x" * 200_000), ("ECHO", "y")] * 3)
    assert replies == [b"x" * 200_000, b"y"] * 3


async def test_it_uses_one_connection(wire: Wire) -> None:
    clients = {(await wire.exchange([("CLIENT", "ID")]))[0] for _ in range(3)}
    assert len(clients) == 1


async def test_a_lost_connection_fails_its_batch_and_is_made_anew(wire: Wire, proxy: Proxy) -> None:
    await wire.exchange([("PING",)])
    proxy.replies_to_lose = 1
    with pytest.raises(RedisConnectionError):
        await wire.exchange([("PING",)])
    assert await wire.exchange([("PING",)]) == [b"PONG"]


async def test_a_connection_that_was_lost_between_batches_is_made_anew(wire: Wire, proxy: Proxy) -> None:
    await wire.exchange([("PING",)])
    proxy.cut()
    proxy.mend()
    await asyncio.sleep(0.05)
    assert await wire.exchange([("PING",)]) == [b"PONG"]


async def test_a_reply_that_never_comes_is_a_timeout_and_is_never_taken_for_the_next(
    wire: Wire, proxy: Proxy
) -> None:
    proxy.delay_s = 2 * TIMEOUT_S
    with pytest.raises(RedisTimeoutError):
        await wire.exchange([("ECHO", "late")])
    proxy.mend()
    assert await wire.exchange([("ECHO", "next")]) == [b"next"]


async def test_a_meter_that_is_not_there_is_a_connection_error() -> None:
    async with open_redis("redis://127.0.0.1:1/0", timeout_s=TIMEOUT_S) as redis:
        with pytest.raises(RedisConnectionError):
            await Wire(redis).exchange([("PING",)])
