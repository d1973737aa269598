"""Documents are counted exactly: what a create reserves is settled, released, or found out by the sweep."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from services.api import admission
from services.api.admission import Admission, Decision
from services.api.meter import Meter, OneNode
from services.api.reservations import Reservation, overdue, resolve
from services.api.store.clients import ClientRow, insert_client
from services.api.store.documents import DocumentRow, delete_document, insert_document
from services.api.store.ids import new_id
from services.api.store.reservations import resolve_document
from services.metering.counters import Seed, publish_key_generation, read_live, seed_counters
from services.metering.ledger import Account, Used
from services.metering.library import ensure_library, read_library
from services.metering.limits import period_at
from services.metering.stores import redis_clock
from shared.messages import meter_account, meter_reserved, meter_shard
from shared.postgres import Pool, open_pool
from shared.redis import open_redis
from tests.services.metering.conftest import OLDER_LIBRARY

ACCOUNT = "acct_one"
BODY = ("{}", "")
CLIENT = "cl_1"
RESERVED = meter_reserved(meter_shard(ACCOUNT))


@pytest.fixture
async def meter(redis_url: str) -> AsyncIterator[Redis]:
    redis = open_redis(redis_url, timeout_s=2)
    await ensure_library(redis, read_library())
    await seed(redis, ACCOUNT)
    yield redis
    await ensure_library(redis, read_library())
    await redis.aclose()


async def seed(redis: Redis, account_id: str) -> None:
    period = period_at(await redis_clock(redis))
    await publish_key_generation(redis, account_id, 0)
    terms = Account(plan="enterprise", version=1)
    await seed_counters(redis, [Seed(account_id, terms, period, Used(0, 0))])


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size_max=8, statement_timeout_s=5)
    async with pool.acquire() as connection:
        now = datetime.now(UTC)
        await insert_client(connection, ACCOUNT, ClientRow(CLIENT, "{}", now, now))
    yield pool
    await pool.close()


@pytest.fixture
async def gateway(meter: Redis) -> Admission:
    return gateway_of(meter)


def gateway_of(meter: Redis) -> Admission:
    async def seeded(account_id: str, _generation: int | None) -> None:
        await seed(meter, account_id)

    return Admission(Meter(OneNode(meter)), seeded)


async def create(gateway: Admission, document_id: str) -> Decision:
    return await gateway.admit(ACCOUNT, 0, calls=1, documents=1, reservation=document_id)


def row(document_id: str) -> DocumentRow:
    now, zero = datetime.now(UTC), Decimal(0)
    return DocumentRow(
        document_id, "invoice", None, "draft", CLIENT, "{}", "USD", now.date(), None, "[]",
        zero, zero, zero, zero, "", "clean", None, None, now, now,
    )  # fmt: skip


async def documents_used(meter: Redis) -> int:
    live = await read_live(meter, ACCOUNT)
    assert live
    return live.used.documents


async def reserved(meter: Redis) -> int:
    return int(await meter.zcard(RESERVED))


async def test_a_settle_rides_with_the_next_batch(
    meter: Redis, gateway: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "SETTLE_WITHIN_S", 60)
    decision = await create(gateway, "doc_1")
    assert decision.reserved
    before = await _calls(meter)
    gateway.settle(ACCOUNT, "doc_1", period_start_s=decision.period_start_s)
    await asyncio.sleep(0.05)
    assert (await _calls(meter), await reserved(meter)) == (before, 1)
    await gateway.admit(ACCOUNT, 0, calls=1, documents=0)
    assert (await _calls(meter), await reserved(meter)) == (before + 1, 0)
    assert await documents_used(meter) == 2 - 1


async def _calls(redis: Redis) -> int:
    return (await redis.info("commandstats"))["cmdstat_fcall"]["calls"]


async def test_a_settle_that_nothing_follows_goes_by_itself(
    meter: Redis, gateway: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "SETTLE_WITHIN_S", 0.02)
    for number in range(3):
        decision = await create(gateway, f"doc_{number}")
        gateway.settle(ACCOUNT, f"doc_{number}", period_start_s=decision.period_start_s)
        await asyncio.sleep(0.1)
        assert await reserved(meter) == 0


async def test_what_waits_is_sent_before_the_process_ends(meter: Redis, gateway: Admission) -> None:
    decision = await create(gateway, "doc_1")
    gateway.settle(ACCOUNT, "doc_1", period_start_s=decision.period_start_s)
    await gateway.finish()
    assert await reserved(meter) == 0
    await gateway.finish()


async def test_creates_of_one_tick_are_reserved_each_by_its_own_name(
    meter: Redis, gateway: Admission
) -> None:
    decisions = await asyncio.gather(*(create(gateway, f"doc_{number}") for number in range(50)))
    assert all(decision.granted and decision.reserved for decision in decisions)
    assert (await reserved(meter), await documents_used(meter)) == (50, 50)


async def test_a_release_gives_back_and_a_second_one_nothing(meter: Redis, gateway: Admission) -> None:
    decision = await create(gateway, "doc_1")
    for _ in range(2):
        await gateway.release(ACCOUNT, period_start_s=decision.period_start_s, reservation="doc_1")
    assert (await reserved(meter), await documents_used(meter)) == (0, 0)


async def test_a_release_outlives_a_meter_that_trusts_nobody_any_more(
    meter: Redis, gateway: Admission
) -> None:
    decision = await create(gateway, "doc_1")
    await meter.execute_command("FUNCTION LOAD", "REPLACE", read_library().source)
    await gateway.release(ACCOUNT, period_start_s=decision.period_start_s, reservation="doc_1")
    assert await reserved(meter) == 0


async def test_on_the_library_of_the_release_before_creates_go_on_without_reservations(
    meter: Redis, gateway: Admission
) -> None:
    await meter.execute_command("FUNCTION LOAD", "REPLACE", OLDER_LIBRARY.source)
    decision = await create(gateway, "doc_1")
    assert (decision.granted, decision.reserved, await reserved(meter)) == (True, False, 0)
    await gateway.release(ACCOUNT, period_start_s=decision.period_start_s)
    held: Any = meter.hget(meter_account(ACCOUNT), "docs_used")
    assert await held == b"0"


async def age(meter: Redis) -> None:
    """Make all reservations a minute older."""
    for member, _ in await meter.zrange(RESERVED, 0, -1, withscores=True):
        await meter.zadd(RESERVED, {member: -60_000}, xx=True, incr=True)  # not one that was just taken off


async def sweep(pool: Pool, meter: Redis, gateway: Admission) -> None:
    for reservation in await overdue(Meter(OneNode(meter)), kept_s=30):
        await resolve(pool, gateway, reservation)
    await gateway.finish()


async def test_the_sweep_leaves_young_reservations_alone(meter: Redis, gateway: Admission) -> None:
    decision = await create(gateway, "doc_1")
    assert await overdue(Meter(OneNode(meter)), kept_s=30) == []
    await age(meter)
    assert await overdue(Meter(OneNode(meter)), kept_s=30) == [
        Reservation(ACCOUNT, decision.period_start_s, "doc_1")
    ]


async def test_the_sweep_settles_what_exists_or_did_and_releases_the_rest(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    there, gone, never = (new_id("doc") for _ in range(3))
    for document_id in (there, gone, never):
        await create(gateway, document_id)
    async with pool.acquire() as connection:
        await insert_document(connection, ACCOUNT, row(there), BODY)
        await insert_document(connection, ACCOUNT, row(gone), BODY)
        await delete_document(connection, ACCOUNT, gone)
    await age(meter)
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 2)


async def test_what_the_sweep_has_released_can_be_created_no_more(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    late = new_id("doc")
    await create(gateway, late)
    await age(meter)
    await sweep(pool, meter, gateway)
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.SerializationError):
            await insert_document(connection, ACCOUNT, row(late), BODY)
        assert await connection.fetchval("select count(*) from api.documents") == 0


async def test_a_create_that_is_under_way_is_left_alone_however_long_it_takes(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    slow = new_id("doc")
    await create(gateway, slow)
    await age(meter)
    async with pool.acquire() as connection, connection.transaction():
        await insert_document(connection, ACCOUNT, row(slow), BODY)
        await sweep(pool, meter, gateway)
        assert (await reserved(meter), await documents_used(meter)) == (1, 1)
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 1)


async def test_a_create_that_is_rolled_back_is_released_by_the_next_sweep(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    doomed = new_id("doc")
    await create(gateway, doomed)
    await age(meter)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await insert_document(connection, ACCOUNT, row(doomed), BODY)
        await sweep(pool, meter, gateway)
        await transaction.rollback()
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 0)


async def test_sweeps_that_race_with_creates_and_each_other_count_exactly_what_was_created(
    meter: Redis, pool: Pool
) -> None:
    gateways = [gateway_of(meter) for _ in range(3)]

    async def late_create(number: int) -> bool:
        document_id = new_id("doc")
        await create(gateways[number % 3], document_id)
        await age(meter)
        await asyncio.sleep(number % 7 * 0.003)
        async with pool.acquire() as connection:
            try:
                return await insert_document(connection, ACCOUNT, row(document_id), BODY) is not None
            except asyncpg.SerializationError:
                return False

    async def sweeps(gateway: Admission) -> bool:
        for _ in range(20):
            await sweep(pool, meter, gateway)
        return False

    made = await asyncio.gather(*map(late_create, range(60)), *map(sweeps, gateways))
    await age(meter)
    await sweep(pool, meter, gateways[0])
    assert (await reserved(meter), await documents_used(meter)) == (0, sum(made))


async def test_a_sweeper_that_is_killed_between_its_two_steps_is_finished_by_another(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    never = new_id("doc")
    await create(gateway, never)
    await age(meter)
    async with pool.acquire() as connection:
        assert await resolve_document(connection, ACCOUNT, never) == "void"
    await asyncio.gather(*(sweep(pool, meter, gateway_of(meter)) for _ in range(3)))
    assert (await reserved(meter), await documents_used(meter)) == (0, 0)


async def test_a_reservation_that_cannot_be_read_stops_no_sweep(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    await create(gateway, new_id("doc"))
    await age(meter)
    await meter.zadd(RESERVED, {b"\xff nonsense": 1})
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (1, 0)
