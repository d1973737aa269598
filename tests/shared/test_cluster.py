"""The cluster's client on three real nodes: each command to its node, and a dead node the trouble of its own keys."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from shared.cluster import Cluster, is_cluster_url
from shared.messages import METER_SHARDS, meter_shard, meter_stream
from shared.redis import nodes_of, open_redis
from tests.faults.cluster import Cluster as ThreeNodes

KEYS = [meter_stream(shard) for shard in range(METER_SHARDS)]


@pytest.fixture(scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ThreeNodes]:
    folder = tmp_path_factory.mktemp("cluster")
    for reached in (folder, *folder.parents[:2]):
        reached.chmod(0o755)
    cluster = ThreeNodes(folder)
    await cluster.start()
    yield cluster
    await cluster.stop()


def url_of(nodes: ThreeNodes) -> str:
    return nodes.url.replace("redis://", "redis+cluster://")


@pytest.fixture
async def redis(nodes: ThreeNodes) -> AsyncIterator[Any]:
    client = open_redis(url_of(nodes), timeout_s=1)
    yield client
    await client.aclose()


def test_a_clusters_url_has_a_scheme_of_its_own() -> None:
    assert is_cluster_url("redis+cluster://host:1/0")
    assert is_cluster_url("rediss+cluster://host:1,other:2")
    assert not is_cluster_url("redis://host:1/0")


async def test_a_command_finds_its_node_before_anything_is_known(redis: Any) -> None:
    assert isinstance(redis, Cluster)
    for key in KEYS:
        await redis.execute_command("SET", key + ":x", key)
    assert [await redis.execute_command("GET", key + ":x") for key in KEYS] == [key.encode() for key in KEYS]


async def test_the_shards_lie_on_all_three_nodes(redis: Any) -> None:
    primaries = await nodes_of(redis)
    assert len(primaries) == 3
    assert {redis.of(key) for key in KEYS} == {*primaries}


async def test_commands_that_are_sent_together_are_answered_in_order(redis: Any) -> None:
    pipeline = redis.pipeline(transaction=False)
    for number, key in enumerate(KEYS * 3):
        pipeline.execute_command("SET", f"{key}:{number}", number)
        pipeline.execute_command("GET", f"{key}:{number}")
    results = await pipeline.execute()
    assert results[1::2] == [str(number).encode() for number in range(len(KEYS) * 3)]


async def test_an_error_is_the_commands_own(redis: Any) -> None:
    pipeline = redis.pipeline(transaction=False).execute_command("SET", KEYS[0] + ":s", "x")
    pipeline.execute_command("XLEN", KEYS[0] + ":s").execute_command("SET", KEYS[1] + ":s", "y")
    first, second, third = await pipeline.execute(raise_on_error=False)
    assert (first, type(second), third) == (True, ResponseError, True)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await redis.execute_command("XLEN", KEYS[0] + ":s")


async def test_what_names_its_key_later_finds_it(redis: Any) -> None:
    for key in KEYS:
        await redis.execute_command("XADD", key, "*", "e", "1")
        found = await redis.execute_command("XREAD", "COUNT", 1, "BLOCK", 500, "STREAMS", key, "0")
        assert found
        await redis.execute_command("DEL", key)


async def test_a_dead_node_is_the_trouble_of_its_own_keys(nodes: ThreeNodes, redis: Any) -> None:
    await redis.refresh()
    dead = nodes.nodes[0]
    port = int(dead.url.rpartition(":")[2].partition("/")[0])
    mine = {key for key in KEYS if _port(redis.of(key)) == port}
    assert 0 < len(mine) < METER_SHARDS
    await asyncio.to_thread(dead.kill)
    for key in KEYS:
        if key in mine:
            with pytest.raises((RedisError, OSError)):
                await redis.execute_command("GET", key)
        else:
            await redis.execute_command("GET", key)
    assert await redis.execute_command("TIME")
    living = nodes.nodes[1].url.rpartition("@")[2].partition("/")[0]
    fresh = open_redis(f"{url_of(nodes).removesuffix('/0')},{living}", timeout_s=1)
    await fresh.execute_command("GET", next(key for key in KEYS if key not in mine))
    await fresh.aclose()
    await asyncio.to_thread(dead.start)
    await eventually(lambda: redis.execute_command("GET", next(iter(mine))))


async def eventually(works: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(200):
        with suppress(RedisError, OSError):
            await works()
            return
        await asyncio.sleep(0.05)
    raise AssertionError


def _port(node: "Redis") -> int:
    kwargs: Any = node.connection_pool.connection_kwargs
    return kwargs["port"]


async def test_a_cluster_that_is_away_is_a_lost_connection() -> None:
    redis = open_redis("redis+cluster://127.0.0.1:1", timeout_s=0.2)
    for _ in range(2):
        with pytest.raises((RedisConnectionError, OSError)):
            await redis.execute_command("GET", KEYS[meter_shard("acct_one")])
    with pytest.raises((RedisConnectionError, OSError)):
        await nodes_of(redis)
    await redis.aclose()
