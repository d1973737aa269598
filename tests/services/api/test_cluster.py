"""The product with its meter on a cluster of three nodes: a dead node refuses its accounts, and the others go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from account import Account
from product import Product, Urls, free_port, running, wait_until_ready

from deploy.local.stores import StoreUrls
from services.api import meter as api_meter
from services.api.meter import Meter, open_meter
from services.metering.library import ensure_library, read_library
from shared.messages import METER_SHARDS, meter_account, meter_producer, meter_shard, meter_stream
from shared.redis import open_redis
from tests.faults.cluster import Cluster

DEADLINE_S = 20


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    for reached in (folder, *folder.parents[:2]):
        reached.chmod(0o755)
    nodes = Cluster(folder)
    await nodes.start()
    yield nodes
    await nodes.stop()


def url_of(cluster: Cluster) -> str:
    return cluster.url.replace("redis://", "redis+cluster://")


@pytest.fixture
def clustered(cluster: Cluster, stores: StoreUrls, database_url: str, tmp_path: Path) -> Iterator[Product]:
    """Gateway and metering, without a renderer."""
    urls = Urls(database_url, url_of(cluster), (tmp_path / "objects").as_uri())
    ports = {"PORT": str(free_port()), "METERING_PORT": str(free_port())}
    product = Product(urls, *(f"http://127.0.0.1:{port}" for port in ports.values()))
    environment = {
        **product.environment(),
        **ports,
        "QUEUE_REDIS_URL": stores.redis,
        "METER_REDIS_URL": urls.redis,
    }
    with ExitStack() as stack:
        for service in ("metering", "api"):
            stack.enter_context(running(service, environment, tmp_path))
        wait_until_ready(f"{product.metering}/health/ready", tmp_path)
        wait_until_ready(f"{product.gateway}/health/ready", tmp_path)
        yield product


async def test_a_tick_is_one_pipeline_a_node(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = open_redis(url_of(cluster), timeout_s=1)
    await ensure_library(redis, read_library())
    sent: list[set[int]] = []

    class Counted(Meter):
        async def _send_to(self, node: Any, commands: Any) -> Any:
            sent.append(set(commands))
            return await super()._send_to(node, commands)

    monkeypatch.setattr(api_meter, "Meter", Counted)
    meter = open_meter(url_of(cluster), timeout_s=1)
    replies = await meter.call({shard: _peek(shard) for shard in range(METER_SHARDS)})
    assert [replies[shard].value[0][0] for shard in range(METER_SHARDS)] == [1] * METER_SHARDS
    assert len(sent) == 3
    assert {shard for shards in sent for shard in shards} == {*range(METER_SHARDS)}
    await meter.aclose()
    await redis.aclose()


def _peek(shard: int) -> list[Any]:
    name = next(name for name in map("acct_{}".format, range(1000)) if meter_shard(name) == shard)
    keys = [meter_stream(shard), meter_producer(shard, "p"), meter_account(name)]
    return ["invouno_admit_v1", 3, *keys, "p", 1, -1, 0, 0, 0]


def test_a_dead_node_refuses_its_accounts_and_the_others_go_on(clustered: Product, cluster: Cluster) -> None:
    with ExitStack() as stack:
        accounts = [stack.enter_context(Account(clustered, "--plan", "enterprise")) for _ in range(16)]
        for account in accounts:
            account.document()
        dead = _port(cluster.nodes[0].url)
        mine = [account for account in accounts if asyncio.run(_port_of(cluster, account)) == dead]
        others = [account for account in accounts if account not in mine]
        assert mine
        assert others
        cluster.nodes[0].kill()
        assert _status(mine[0]) == 503
        assert {_status(account) for account in mine} == {503}
        assert {_status(account) for account in others} == {200}
        calls = {account.id: _calls(account) for account in others}
        until(lambda: all(_in_ledger(clustered, name) == count for name, count in calls.items()))
        cluster.nodes[0].start()
        until(lambda: {_status(account) for account in mine} == {200})
        for account in accounts:
            account.document()
            assert account.usage()["documents"]["used"] == 2
        until(
            lambda: all(_in_ledger(clustered, account.id) == _live(cluster, account) for account in accounts)
        )


def _status(account: Account) -> int:
    return account.http.get("/v1/templates").status_code


def _calls(account: Account) -> int:
    return account.usage()["api_calls"]["used"]


def _in_ledger(product: Product, account_id: str) -> int:
    return asyncio.run(_sum(product.urls.database, account_id))


async def _sum(database: str, account_id: str) -> int:
    connection = await asyncpg.connect(database)
    try:
        return await connection.fetchval(
            "select sum(amount)::bigint from metering.usage where account_id = $1 and metric = 'api_calls'",
            account_id,
        )
    finally:
        await connection.close()


def _live(cluster: Cluster, account: Account) -> int:
    return asyncio.run(_hash_of(cluster, account))


async def _hash_of(cluster: Cluster, account: Account) -> int:
    redis = open_redis(url_of(cluster), timeout_s=1)
    try:
        held: Any = await redis.execute_command("HGET", meter_account(account.id), "calls_used")
        return int(held)
    finally:
        await redis.aclose()


async def _port_of(cluster: Cluster, account: Account) -> int:
    redis: Any = open_redis(url_of(cluster), timeout_s=1)
    try:
        await redis.learn()
        return redis.of(meter_account(account.id)).connection_pool.connection_kwargs["port"]
    finally:
        await redis.aclose()


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_gateway_that_starts_while_a_node_is_dead_serves_the_others(
    clustered: Product, cluster: Cluster, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        accounts = [stack.enter_context(Account(clustered, "--plan", "enterprise")) for _ in range(10)]
        dead = _port(cluster.nodes[2].url)
        others = [account for account in accounts if asyncio.run(_port_of(cluster, account)) != dead]
        cluster.nodes[2].kill()
        port, folder = free_port(), tmp_path / "late"
        folder.mkdir()
        environment = {**clustered.environment(), "PORT": str(port), "QUEUE_REDIS_URL": "redis://127.0.0.1:1"}
        stack.enter_context(running("api", environment, folder))
        wait_until_ready(f"http://127.0.0.1:{port}/health/live", folder)
        for account in others:
            answer = httpx2.get(f"http://127.0.0.1:{port}/v1/templates", headers=account.http.headers)
            assert answer.status_code == 200, answer.text
        cluster.nodes[2].start()
