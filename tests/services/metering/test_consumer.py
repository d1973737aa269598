"""The background work: who drains, and that nothing needs a restart of the process."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from deploy.local.store import Store
from deploy.local.stores import started
from deploy.local.valkey import valkey_store
from services.metering import consumer
from services.metering.app import open_stores
from services.metering.ledger import Used, select_used
from services.metering.library import read_library, revision_of
from services.metering.limits import period_at
from services.metering.seeding import seed_account
from services.metering.settings import Settings
from services.metering.stores import Outage, Stores, redis_clock, send
from shared.messages import METER_SHARDS, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, Producer, eventually

READ = (0, 1, 1, 0)
END_SESSIONS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for wait in ("STAND_BY_S", "RETRY_S", "LIBRARY_CHECK_S"):
        monkeypatch.setattr(consumer, wait, 0.05)


def in_background(meter: Stores) -> AbstractAsyncContextManager[None]:
    return consumer.in_background(meter, read_library(), linger_s=0.01)


async def used(meter: Stores, account_id: str = ACCOUNT) -> Used:
    async with meter.pool.acquire() as connection:
        return await select_used(connection, account_id, period_at(await redis_clock(meter.redis)))


async def test_every_shard_is_drained_as_soon_as_it_has_an_entry(meter: Stores) -> None:
    accounts = {meter_shard(name): name for name in (f"acct_{number}" for number in range(100))}
    assert len(accounts) == METER_SHARDS
    async with in_background(meter):
        for name in accounts.values():
            await seed_account(meter, name)
            await Producer(meter).admit(READ, account=name)
        for shard, name in accounts.items():

            async def drained(shard: int = shard, name: str = name) -> bool:
                return (await used(meter, name), await _length(meter, shard)) == (Used(1, 0), 0)

            await eventually(drained)


async def _length(meter: Stores, shard: int) -> int:
    return await send(meter.redis, "XLEN", meter_stream(shard))


async def test_two_processes_hand_over_once_and_one_takes_over_from_the_other(
    meter: Stores, settings: Settings, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)

    async def admit_and_drain() -> None:
        for _ in range(20):
            await gateway.admit(READ)

        async def drained() -> bool:
            return (await used(meter)).api_calls == gateway.seq

        await eventually(drained)

    async with open_stores(settings) as other, in_background(other):
        async with in_background(meter):
            await admit_and_drain()
        await admit_and_drain()
    assert await used(meter) == Used(40, 0)


async def test_an_empty_redis_gets_the_functions_again(meter: Stores) -> None:
    async with in_background(meter):
        await send(meter.redis, "FUNCTION FLUSH")

        async def loaded() -> bool:
            return await revision_of(meter.redis) is not None

        await eventually(loaded)


async def test_lost_database_sessions_are_replaced(meter: Stores, gateway: Producer) -> None:
    await seed_account(meter, ACCOUNT)
    async with in_background(meter):
        for calls in range(1, 4):
            async with meter.pool.acquire() as connection:
                await connection.execute(END_SESSIONS)
            await gateway.admit(READ)

            async def drained(calls: int = calls) -> bool:
                return await used(meter) == Used(calls, 0)

            await eventually(drained)


async def test_missing_migrations_are_waited_for(meter: Stores, gateway: Producer) -> None:
    await seed_account(meter, ACCOUNT)
    async with meter.pool.acquire() as connection:
        await connection.execute("alter schema metering rename to elsewhere")
        with capture_logs() as logs:
            async with in_background(meter):
                await gateway.admit(READ)
                await asyncio.sleep(0.4)
                await connection.execute("alter schema elsewhere rename to metering")

                async def drained() -> bool:
                    return await used(meter) == Used(1, 0)

                await eventually(drained)
    assert [line["event"] for line in logs if line["log_level"] != "info"] == ["waiting for a store"]


@pytest.fixture
def own_server(tmp_path: Path) -> Store:
    """A Valkey that this test may stop and start; its user must be able to reach the folder."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    return valkey_store(tmp_path, durable=False)


async def test_a_redis_that_comes_late_and_restarts_empty_is_waited_for(
    settings: Settings, own_server: Store, tmp_path: Path
) -> None:
    own = msgspec.structs.replace(settings, redis_url=own_server.url)
    async with open_stores(own) as meter, in_background(meter):
        for restart in range(1, 3):
            await asyncio.sleep(0.1)
            with started(own_server, tmp_path):

                async def loaded() -> bool:
                    return await revision_of(meter.redis) is not None

                async def drained(calls: int = restart) -> bool:
                    return await used(meter) == Used(calls, 0)

                await eventually(loaded)
                await seed_account(meter, ACCOUNT)
                await Producer(meter, f"gateway-{restart}").admit(READ)
                await eventually(drained)


def test_an_outage_is_told_once_and_its_end_once() -> None:
    outage = Outage()
    with capture_logs() as logs:
        for shard in ("one", "two", "one", "two"):
            outage.began(shard, ConnectionError("refused"))
        for shard in ("one", "one", "two", "three"):
            outage.ended(shard)
    assert [line["event"] for line in logs] == ["waiting for a store", "the stores are back"]


async def test_it_stops_at_once_at_whatever_moment(settings: Settings) -> None:
    for moment in range(12):
        async with open_stores(settings) as meter, asyncio.timeout(3):
            async with in_background(meter):
                await asyncio.sleep(0.003 * moment)
            left = [task for task in asyncio.all_tasks() if "_persist" in repr(task)]
            assert left == []
