"""Whom Redis's counters may be trusted by: data that was put back, a server started again, a replica that took over."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from deploy.local.store import Store
from deploy.local.stores import started
from deploy.local.valkey import valkey_store
from services.metering.accounts import set_plan
from services.metering.app import open_stores
from services.metering.counters import publish_key_generation, read_live
from services.metering.handover import hand_over
from services.metering.library import ensure_library, read_library
from services.metering.seeding import seed_account
from services.metering.settings import Settings
from services.metering.stores import Stores, send
from shared.messages import meter_account, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, OLDER_LIBRARY, Producer

READ, CREATE, PEEK = (0, 1, 1, 0), (0, 1, 1, 1), (0, 0, 0, 0)
UNSEEDED = (1, *[0] * 12)


class Server:
    """A durable Valkey of this test's own, which it may kill, and whose files it may exchange."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        self._running = ExitStack()
        self.store: Store | None = None

    @property
    def url(self) -> str:
        assert self.store
        return self.store.url

    def start(self) -> None:
        """On the port of the start before, so that clients find it again."""
        self.store = self.store or valkey_store(self.folder)
        self._running.enter_context(started(self.store, self.folder))

    def kill(self) -> None:
        os.kill(int((self.folder / "valkey" / "valkey.pid").read_text()), signal.SIGKILL)
        self._running.close()

    def stop(self) -> None:
        self._running.close()

    def keep_data(self) -> None:
        shutil.copytree(self.folder / "valkey" / "appendonlydir", self.folder / "kept")

    def put_data_back(self) -> None:
        data = self.folder / "valkey" / "appendonlydir"
        for path in data.iterdir():
            path.unlink()
        for path in (self.folder / "kept").iterdir():
            shutil.copy(path, data / path.name)
            shutil.chown(data / path.name, data.stat().st_uid, data.stat().st_gid)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with _server(tmp_path, "one") as running:
        yield running


@contextmanager
def _server(tmp_path: Path, name: str) -> Generator[Server]:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    server = Server(tmp_path / name)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def _metered(settings: Settings, server: Server) -> AsyncGenerator[Stores]:
    async with open_stores(msgspec.structs.replace(settings, redis_url=server.url)) as stores:
        await ensure_library(stores.redis, read_library())
        yield stores


@pytest.fixture
async def own(settings: Settings, server: Server) -> AsyncGenerator[Stores]:
    async with _metered(settings, server) as stores:
        await seed_account(stores, ACCOUNT)
        yield stores


async def killed_and_started(meter: Stores, server: Server, *, older: bool = False) -> None:
    server.kill()
    if older:
        server.put_data_back()
    server.start()
    await meter.redis.aclose()


async def drain(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await hand_over(connection, meter.redis, meter_shard(ACCOUNT))


async def test_a_server_that_was_killed_is_seeded_before_it_decides(own: Stores, server: Server) -> None:
    gateway = Producer(own)
    await gateway.admit(READ, CREATE)
    await killed_and_started(own, server)
    assert [msgspec.structs.astuple(reply) for reply in await gateway.admit(READ, CREATE)] == [UNSEEDED] * 2
    await seed_account(own, ACCOUNT)
    (state,) = await gateway.admit(READ)
    assert (state.calls_used, state.documents_used) == (3, 1)


async def test_a_reply_that_was_lost_with_the_server_is_given_again(own: Stores, server: Server) -> None:
    gateway = Producer(own)
    (first,) = await gateway.admit(CREATE, seq=7)
    await killed_and_started(own, server)
    assert await gateway.admit(CREATE, seq=7) == [first]


async def test_older_data_put_back_never_decides(own: Stores, server: Server) -> None:
    gateway = Producer(own)
    await gateway.admit((0, 5, 1, 1))
    server.keep_data()
    await gateway.admit((0, 15, 1, 1))
    await drain(own)
    await killed_and_started(own, server, older=True)
    assert (await send(own.redis, "HGET", meter_account(ACCOUNT), "docs_used")) == b"5"
    assert await read_live(own.redis, ACCOUNT) is None
    assert (await gateway.admit(CREATE))[0].status == 1
    await seed_account(own, ACCOUNT)
    (full,) = await gateway.admit(CREATE)
    assert (full.granted, full.reason, full.calls_used, full.documents_used) == (0, 3, 20, 20)


async def test_a_generation_that_was_lost_lets_no_older_key_pass(own: Stores, server: Server) -> None:
    gateway = Producer(own)
    await gateway.admit((4, 1, 1, 0))
    server.keep_data()
    await publish_key_generation(own.redis, ACCOUNT, 5)
    await killed_and_started(own, server, older=True)
    await seed_account(own, ACCOUNT, None)
    without_key, with_key = await gateway.admit((-1, 1, 1, 0), (4, 1, 1, 0))
    assert (without_key.status, with_key.status) == (0, 1)
    await seed_account(own, ACCOUNT, 5)
    old, new = await gateway.admit((4, 1, 1, 0), (5, 1, 1, 0))
    assert (old.status, new.status) == (2, 0)


async def test_limits_of_older_data_are_replaced_by_the_ledgers(own: Stores, server: Server) -> None:
    server.keep_data()
    async with own.pool.acquire() as connection:
        await set_plan(connection, own.redis, ACCOUNT, "growth")
    await killed_and_started(own, server, older=True)
    await seed_account(own, ACCOUNT)
    assert (await Producer(own).admit(PEEK))[0].calls_limit == 10_000


async def test_a_reader_that_knows_nothing_of_trust_finds_no_counters(own: Stores, server: Server) -> None:
    await killed_and_started(own, server)
    assert (await Producer(own).admit(READ))[0].status == 1
    held = await send(own.redis, "HMGET", meter_account(ACCOUNT), "start", "end")
    assert held == [None, None]


async def test_a_replica_that_takes_over_is_seeded_and_so_is_the_first_when_it_comes_back(
    own: Stores, server: Server, settings: Settings, tmp_path: Path
) -> None:
    with _server(tmp_path, "two") as other:
        first, second = Redis.from_url(server.url), Redis.from_url(other.url)
        with first, second:
            await Producer(own).admit((0, 5, 1, 1))
            await asyncio.to_thread(_follow, second, first)
            second.replicaof("NO", "ONE")
            async with _metered(settings, other) as taken:
                assert (await Producer(taken, "g2").admit(READ))[0].status == 1
                await drain(own)
                await seed_account(taken, ACCOUNT)
                assert (await Producer(taken, "g3").admit((0, 5, 1, 1)))[0].documents_used == 10
                await drain(taken)
                await asyncio.to_thread(_follow, first, second)
                first.replicaof("NO", "ONE")
            assert (await Producer(own, "g4").admit(READ))[0].status == 1
            await seed_account(own, ACCOUNT)
            assert (await Producer(own, "g5").admit(PEEK))[0].documents_used == 10


def _follow(replica: "Redis", primary: "Redis") -> None:
    """Have one server follow the other until it has all of its data."""
    where: Any = primary.connection_pool.connection_kwargs
    primary.config_set("repl-diskless-sync-delay", 0)  # wait for no other replica
    replica.config_set("masterauth", where["password"])
    replica.replicaof(where["host"], where["port"])
    while replica.info("replication")["master_link_status"] != "up":  # pyright: ignore[reportIndexIssue]
        pass
    primary.execute_command("WAIT", 1, 5000)


async def test_a_library_that_is_replaced_mid_flight_changes_no_count(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await set_plan(connection, meter.redis, ACCOUNT, "free", {"api_calls": 300, "burst_per_min": None})
    await seed_account(meter, ACCOUNT)
    library, granted = read_library(), 0

    async def use(producer: Producer) -> int:
        granted = 0
        for _ in range(60):
            (reply,) = await producer.admit((0, 2, 1, 0))
            granted += reply.granted
            if reply.status == 1:
                await seed_account(meter, ACCOUNT)
        return granted

    async def replace() -> int:
        for _ in range(25):
            await send(meter.redis, "FUNCTION LOAD", "REPLACE", library.source)
            await asyncio.sleep(0.01)
        return 0

    users = [use(Producer(meter, f"gateway-{number}")) for number in range(4)]
    granted = sum(await asyncio.gather(*users, replace()))
    await seed_account(meter, ACCOUNT)
    (state,) = await Producer(meter, "last").admit(PEEK)
    assert granted == state.calls_used == 300


async def test_a_flushed_redis_under_load_never_admits_beyond_the_quota(meter: Stores) -> None:
    """What a flush takes before it was handed over is lost to the ledger, and to nothing else."""
    async with meter.pool.acquire() as connection:
        await set_plan(connection, meter.redis, ACCOUNT, "free", {"api_calls": 200, "burst_per_min": None})
    lost = 0

    async def use(producer: Producer) -> int:
        granted = 0
        for _ in range(60):
            (reply,) = await producer.admit((0, 1, 1, 0))
            granted += reply.granted
            if reply.status == 1:
                await seed_account(meter, ACCOUNT)
        return granted

    async def flush() -> int:
        nonlocal lost
        for _ in range(10):
            await asyncio.sleep(0.03)
            await drain(meter)
            async with meter.redis.pipeline(transaction=True) as step:
                step.xlen(meter_stream(meter_shard(ACCOUNT)))
                step.flushdb()
                lost += (await step.execute())[0]
        return 0

    await seed_account(meter, ACCOUNT)
    users = [use(Producer(meter, f"gateway-{number}")) for number in range(5)]
    granted = sum(await asyncio.gather(*users, flush()))
    await drain(meter)
    await seed_account(meter, ACCOUNT)
    (state,) = await Producer(meter, "last").admit(PEEK)
    assert state.calls_used <= granted <= 200 + lost


async def test_calls_of_an_older_gateways_form_are_decided_by_the_new_library(
    meter: Stores, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)
    (four,) = await gateway.admit((0, 2, 1, 1))
    (five,) = await gateway.admit((0, 1, 0, -1, four.period_start_s))
    assert (four.granted, five.granted, five.documents_used) == (2, 1, 1)


async def test_an_older_library_is_replaced_and_its_counters_are_seeded(
    meter: Stores, gateway: Producer
) -> None:
    await send(meter.redis, "FUNCTION LOAD", "REPLACE", OLDER_LIBRARY.source)
    await send(
        meter.redis, "FCALL", "invouno_seed_v1", 1, meter_account(ACCOUNT), 0, 60, 500, 20, *_month(), 0, 0
    )
    assert (await gateway.admit((0, 3, 1, 1)))[0].documents_used == 3
    assert await ensure_library(meter.redis, read_library())
    assert (await gateway.admit(READ))[0].status == 1
    await seed_account(meter, ACCOUNT)
    assert (await gateway.admit(READ))[0].calls_used == 4


def _month() -> tuple[int, int]:
    return 0, 253_402_300_799


async def test_a_metering_of_the_release_before_can_seed_the_new_library(
    meter: Stores, gateway: Producer
) -> None:
    await send(
        meter.redis, "FCALL", "invouno_seed_v1", 1, meter_account(ACCOUNT), 0, 60, 500, 20, *_month(), 7, 2
    )
    assert (await gateway.admit(READ))[0].calls_used == 8
