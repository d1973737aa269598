"""Blocks are counted exactly: settled, ended by what is missing, or found out by the sweep, which counts them."""

import asyncio
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from services.api.admission import Admission, Decision
from services.api.meter import Meter, OneNode
from services.api.reservations import Reservation, overdue
from services.api.store.documents import delete_document, insert_document
from services.api.store.ids import ids_of, is_id, new_block
from services.api.store.reservations import claim_block, resolve_block
from services.metering.library import ensure_library, read_library
from shared.messages import meter_account
from shared.postgres import Connection, Pool
from tests.services.api.test_reservations import (
    ACCOUNT,
    BODY,
    age,
    documents_used,
    gateway,
    gateway_of,
    meter,
    pool,
    reserved,
    row,
    sweep,
)
from tests.services.metering.conftest import OLDER_LIBRARY

__all__ = ["gateway", "meter", "pool"]
SIZE = 9


async def reserve(gateway: Admission, block: str, size: int = SIZE) -> Decision:
    return await gateway.admit(ACCOUNT, 0, calls=1, documents=size, reservation=block, size=size)


async def create(connection: Connection, block: str, amount: int, size: int = SIZE) -> None:
    """The first of the block's documents, in the caller's transaction."""
    await claim_block(connection, ACCOUNT, block)
    for document_id in ids_of(block, "doc", size)[:amount]:
        await insert_document(connection, ACCOUNT, row(document_id), BODY)


def test_ids_follow_from_a_block_in_order_and_tell_nothing_about_each_other() -> None:
    block = new_block()
    ids = ids_of(block, "doc", 1_000)
    assert ids == ids_of(block, "doc", 1_000) == sorted(ids)
    assert ids[:10] == ids_of(block, "doc", 10)
    assert all(is_id(each, "doc") for each in ids)
    assert len({each[-20:] for each in (*ids, block)}) == 1_001
    assert not {*ids} & {*ids_of(new_block(), "doc", 1_000)}


async def test_a_block_is_settled_or_ended_by_what_is_missing(meter: Redis, gateway: Admission) -> None:
    for missing in (0, 4, SIZE):
        block = new_block()
        decision = await reserve(gateway, block)
        assert decision.reserved
        if missing:
            await gateway.release(
                ACCOUNT,
                period_start_s=decision.period_start_s,
                reservation=block,
                documents=missing,
                size=SIZE,
            )
        else:
            gateway.settle(ACCOUNT, block, period_start_s=decision.period_start_s, size=SIZE)
            await gateway.finish()
        assert await reserved(meter) == 0
    assert await documents_used(meter) == SIZE + SIZE - 4


async def test_blocks_ride_with_all_else_of_a_tick(meter: Redis, gateway: Admission) -> None:
    asked = [reserve(gateway, new_block(), size) for size in (1, 2, 3, 1_000)]
    others = [gateway.admit(ACCOUNT, 0, calls=1, documents=1, reservation=f"doc_{n}") for n in range(5)]
    reads = [gateway.admit(ACCOUNT, 0, calls=1, documents=0) for _ in range(5)]
    decisions = await asyncio.gather(*asked, *others, *reads)
    assert all(decision.granted for decision in decisions)
    assert [decision.reserved for decision in decisions] == [True] * 9 + [False] * 5
    assert (await reserved(meter), await documents_used(meter)) == (9, 1_011)


async def test_the_sweep_reads_a_blocks_size(meter: Redis, gateway: Admission) -> None:
    block = new_block()
    decision = await reserve(gateway, block)
    await age(meter)
    assert await overdue(Meter(OneNode(meter)), kept_s=30) == [
        Reservation(ACCOUNT, decision.period_start_s, block, SIZE)
    ]


@pytest.mark.parametrize("amount", [0, 1, 5, SIZE])
async def test_the_sweep_gives_back_what_is_not_there(
    meter: Redis, pool: Pool, gateway: Admission, amount: int
) -> None:
    block = new_block()
    await reserve(gateway, block)
    if amount:
        async with pool.acquire() as connection, connection.transaction():
            await create(connection, block, amount)
    await age(meter)
    await asyncio.gather(*(sweep(pool, meter, gateway_of(meter)) for _ in range(3)))
    assert (await reserved(meter), await documents_used(meter)) == (0, amount)


async def test_documents_that_were_deleted_meanwhile_were_created(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    block = new_block()
    await reserve(gateway, block)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await create(connection, block, 6)
        for document_id in ids_of(block, "doc", 2):
            await delete_document(connection, ACCOUNT, document_id)
    await age(meter)
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 6)


async def test_what_the_sweep_has_given_back_can_be_created_no_more(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    block = new_block()
    await reserve(gateway, block)
    await age(meter)
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 0)
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(asyncpg.SerializationError):
            await claim_block(connection, ACCOUNT, block)


async def test_a_block_under_way_is_left_alone_however_long_it_takes(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    block = new_block()
    await reserve(gateway, block)
    await age(meter)
    async with pool.acquire() as connection, connection.transaction():
        await create(connection, block, 3)
        await sweep(pool, meter, gateway)
        assert (await reserved(meter), await documents_used(meter)) == (1, SIZE)
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 3)


async def test_a_block_that_is_rolled_back_is_given_back_whole(
    meter: Redis, pool: Pool, gateway: Admission
) -> None:
    block = new_block()
    await reserve(gateway, block)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await create(connection, block, SIZE)
        await transaction.rollback()
        assert await resolve_block(connection, ACCOUNT, block, ids_of(block, "doc", SIZE)) == 0
    await age(meter)
    await sweep(pool, meter, gateway)
    assert (await reserved(meter), await documents_used(meter)) == (0, 0)


async def test_sweeps_that_race_with_bulks_and_each_other_count_exactly_what_was_created(
    meter: Redis, pool: Pool
) -> None:
    gateways = [gateway_of(meter) for _ in range(3)]

    async def late_create(number: int) -> int:
        block = new_block()
        await reserve(gateways[number % 3], block)
        await age(meter)
        await asyncio.sleep(number % 7 * 0.003)
        async with pool.acquire() as connection:
            try:
                async with connection.transaction():
                    await create(connection, block, number % SIZE + 1)
            except asyncpg.SerializationError:
                return 0
            return number % SIZE + 1

    async def sweeps(gateway: Admission) -> int:
        for _ in range(20):
            await sweep(pool, meter, gateway)
        return 0

    made = await asyncio.gather(*map(late_create, range(40)), *map(sweeps, gateways))
    await age(meter)
    await sweep(pool, meter, gateways[0])
    assert (await reserved(meter), await documents_used(meter)) == (0, sum(made))


async def test_on_the_library_of_the_release_before_a_block_is_counted_and_given_back_without_a_reservation(
    meter: Redis, gateway: Admission
) -> None:
    try:
        await meter.execute_command("FUNCTION LOAD", "REPLACE", OLDER_LIBRARY.source)
        decision = await reserve(gateway, new_block())
        assert (decision.granted, decision.reserved, await reserved(meter)) == (True, False, 0)
        await gateway.release(ACCOUNT, period_start_s=decision.period_start_s, documents=4)
        held: Any = meter.hget(meter_account(ACCOUNT), "docs_used")
        assert await held == b"%d" % (SIZE - 4)
    finally:
        await ensure_library(meter, read_library())


async def test_nobody_ends_a_block_for_a_library_that_came_back_from_before(
    meter: Redis, gateway: Admission
) -> None:
    """What it cannot end it leaves alone, so that the sweep ends it once the new library is back."""
    block = new_block()
    decision = await reserve(gateway, block)
    try:
        await meter.execute_command("FUNCTION LOAD", "REPLACE", OLDER_LIBRARY.source)
        await gateway.release(
            ACCOUNT, period_start_s=decision.period_start_s, reservation=block, documents=4, size=SIZE
        )
    finally:
        await ensure_library(meter, read_library())
    held: Any = meter.hget(meter_account(ACCOUNT), "docs_used")
    assert (await held, await reserved(meter)) == (b"%d" % SIZE, 1)
