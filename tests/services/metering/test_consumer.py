"""The background work: who drains, and that nothing needs a restart of the process."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from deploy.local.stores import started
from deploy.local.valkey import valkey_store
from services.metering import consumer
from services.metering.app import open_stores
from services.metering.consumer import run_background
from services.metering.ledger import Used, select_used
from services.metering.library import read_library, revision_of
from services.metering.limits import period_at
from services.metering.seeding import seed_account
from services.metering.settings import Settings
from services.metering.stores import STORE_ERRORS, Outage, Stores, redis_clock, send
from shared.messages import METER_SHARDS, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, Producer

READ = (0, 1, 1, 0)
END_SESSIONS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for wait in ("STAND_BY_S", "RETRY_S", "LIBRARY_CHECK_S"):
        monkeypatch.setattr(consumer, wait, 0.05)


@asynccontextmanager
async def in_background(meter: Stores) -> AsyncGenerator[None]:
    task = asyncio.create_task(run_background(meter, read_library(), linger_s=0.01))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def used(meter: Stores, account_id: str = ACCOUNT) -> Used:
    async with meter.pool.acquire() as connection:
        return await select_used(connection, account_id, period_at(await redis_clock(meter.redis)))


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(8):
        while not await _holds(holds):
            await asyncio.sleep(0.02)


async def _holds(condition: Callable[[], Awaitable[bool]]) -> bool:
    with suppress(*STORE_ERRORS):
        return await condition()
    return False


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


async def test_a_redis_that_comes_late_and_restarts_empty_is_waited_for(
    settings: Settings, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    server = valkey_store(tmp_path, durable=False)
    own = msgspec.structs.replace(settings, redis_url=server.url)
    async with open_stores(own) as meter, in_background(meter):
        for restart in range(1, 3):
            await asyncio.sleep(0.1)
            with started(server, tmp_path):

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
