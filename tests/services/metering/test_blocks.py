"""Blocks in the function: several documents reserved at once, whole or not at all, and ended once, by what there is."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from services.metering.counters import Seed, seed_counters
from services.metering.entries import decode_entry
from services.metering.ledger import Account, Used
from services.metering.library import ensure_library, read_library
from services.metering.limits import period_at
from services.metering.stores import Stores, redis_clock, send
from shared.messages import meter_reserved, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, OLDER_LIBRARY, Item, Producer, seed_afresh

SHARD = meter_shard(ACCOUNT)
PEEK = (0, 0, 0, 0)
SIZE = 12


@pytest.fixture
def database_url() -> str:
    """These tests need no ledger."""
    return "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
async def seeded(meter: Stores) -> None:
    """On a plan with 20 documents."""
    await seed_afresh(meter)


def reserve(size: int = SIZE, name: str = "bulk_1") -> Item:
    return (0, 1, 1, size, 0, "", f"{name}:{size}")


def end(period_s: int, missing: int = 0, size: int = SIZE, name: str = "bulk_1") -> Item:
    return (-1, 0, 0, -missing, period_s, "", f"{name}:{size}")


async def reserved(meter: Stores) -> list[str]:
    return [member.decode() for member in await send(meter.redis, "ZRANGE", meter_reserved(SHARD), 0, -1)]


async def used(meter: Stores, gateway: Producer) -> int:
    """By the counters, which the stream agrees with."""
    found = await send(meter.redis, "XRANGE", meter_stream(SHARD), "-", "+")
    rows = [row for _, fields in found for row in decode_entry(fields).counted]
    state = (await gateway.admit(PEEK))[0]
    assert state.documents_used == sum(row.amount for row in rows if row.metric == "documents")
    assert state.calls_used == sum(row.amount for row in rows if row.metric == "api_calls")
    return state.documents_used


async def test_a_block_is_one_call_and_all_of_its_documents(meter: Stores, gateway: Producer) -> None:
    (row,) = await gateway.rows(reserve())
    assert (row[0], row[1], row[8], row[10], row[13]) == (0, 1, 1, SIZE, 1)
    assert await reserved(meter) == [f"{ACCOUNT} {row[11]} bulk_1:{SIZE}"]
    assert await used(meter, gateway) == SIZE


async def test_a_block_that_does_not_fit_counts_nothing(meter: Stores, gateway: Producer) -> None:
    first, second, third = await gateway.rows(reserve(), reserve(9, "bulk_2"), reserve(8, "bulk_3"))
    assert [(row[1], row[2], row[13]) for row in (first, second, third)] == [(1, 0, 1), (0, 3, 0), (1, 0, 1)]
    assert (await used(meter, gateway), len(await reserved(meter))) == (20, 2)
    assert (await gateway.admit(PEEK))[0].calls_used == 2


@pytest.mark.parametrize("missing", [0, 1, SIZE])
async def test_what_is_missing_is_given_back_once_however_often_it_comes(
    meter: Stores, gateway: Producer, missing: int
) -> None:
    (made,) = await gateway.rows(reserve())
    rows = await gateway.rows(*[end(made[11], missing)] * 3)
    assert [row[13] for row in rows] == [1, 0, 0]
    assert await reserved(meter) == []
    assert await used(meter, gateway) == SIZE - missing


async def test_who_ends_it_first_decides_how_many_there_are(meter: Stores, gateway: Producer) -> None:
    (made,) = await gateway.rows(reserve())
    await gateway.rows(end(made[11], 2), end(made[11], SIZE), end(made[11]))
    assert await used(meter, gateway) == SIZE - 2


async def test_many_who_end_one_block_end_it_once(meter: Stores, gateway: Producer) -> None:
    (made,) = await gateway.rows(reserve())
    sweepers = [Producer(meter, f"sweeper-{number}") for number in range(6)]
    ended = await asyncio.gather(*(sweeper.rows(end(made[11], 5)) for sweeper in sweepers))
    assert sum(row[13] for rows in ended for row in rows) == 1
    assert await used(meter, gateway) == SIZE - 5


async def test_the_same_seq_reserves_and_ends_once(meter: Stores, gateway: Producer) -> None:
    first = await gateway.rows(reserve(), seq=5)
    assert await gateway.rows(reserve(), seq=5) == first
    ended = await gateway.rows(end(first[0][11], 3), seq=6)
    assert await gateway.rows(end(first[0][11], 3), seq=6) == ended
    assert await used(meter, gateway) == SIZE - 3


async def test_a_block_whose_documents_are_all_there_needs_no_counters_to_end(
    meter: Stores, gateway: Producer
) -> None:
    (made, _) = await gateway.rows(reserve(), reserve(3, "bulk_2"))
    await send(meter.redis, "FUNCTION LOAD", "REPLACE", read_library().source)
    whole, lacking = await gateway.rows(end(made[11]), end(made[11], 1, 3, "bulk_2"))
    assert (whole[0], whole[13], lacking[0]) == (0, 1, 1)
    assert await reserved(meter) == [f"{ACCOUNT} {made[11]} bulk_2:3"]


async def test_the_end_of_an_earlier_periods_block_leaves_the_current_one_alone(
    meter: Stores, gateway: Producer
) -> None:
    (made,) = await gateway.rows(reserve())
    earlier_s = made[11] - 86_400
    await send(meter.redis, "ZADD", meter_reserved(SHARD), 1, f"{ACCOUNT} {earlier_s} bulk_0:9")
    rows = await gateway.rows(*[end(earlier_s, 4, 9, "bulk_0")] * 2)
    assert [(row[1], row[10], row[13]) for row in rows] == [(1, SIZE, 1), (0, SIZE, 0)]


async def test_an_unlimited_account_reserves_a_thousand(meter: Stores, gateway: Producer) -> None:
    period = period_at(await redis_clock(meter.redis))
    terms = Account(plan="enterprise", version=2)
    await seed_counters(meter.redis, [Seed(ACCOUNT, terms, period, Used(0, 0))])
    rows = await gateway.rows(*(reserve(1000, f"bulk_{number}") for number in range(20)))
    assert [row[13] for row in rows] == [1] * 20
    assert await used(meter, gateway) == 20_000


MALFORMED: tuple[Item, ...] = (
    (0, 1, 1, 12, 0, "", "bulk_1"), (0, 1, 1, 12, 0, "", "bulk_1:11"), (0, 1, 1, 12, 0, "", ":12"),
    (0, 1, 1, 12, 0, "", "bulk_1:1e1"), (0, 1, 1, 12, 0, "", "a b:12"), (0, 1, 1, 12, 0, "doc_1", "bulk_1:12"),
    (0, 1, 1, 1, 0, "doc_1", "bulk_1:1"), (0, 1, 1, 0, 0, "", "bulk_1:0"), (0, 1, 1, 12, 5, "", "bulk_1:12"),
    (0, 2, 1, 12, 0, "", "bulk_1:12"), (0, 0, 1, 12, 0, "", "bulk_1:12"), (-1, 0, 0, -13, 5, "", "bulk_1:12"),
    (-1, 0, 0, -1, 0, "", "bulk_1:12"), (-1, 1, 0, -1, 5, "", "bulk_1:12"), (-1, 0, 1, 0, 5, "", "bulk_1:12"),
    (0, 1, 1, 12, 0, "", f"{'x' * 65}:12"), (0, 1, 1, 12, 0, "", "bulk_1:12:12"), (0, 1, 1, 12, 0, "", "bulk_1:0x0c"),
)  # fmt: skip


@pytest.mark.parametrize("item", MALFORMED, ids=str)
async def test_a_malformed_block_changes_nothing(meter: Stores, gateway: Producer, item: Item) -> None:
    with pytest.raises(ResponseError, match="METERARGS"):
        await gateway.rows(reserve(2, "bulk_0"), item)
    assert await reserved(meter) == []
    assert await used(meter, gateway) == 0


async def test_others_are_as_ever_among_blocks(meter: Stores, gateway: Producer) -> None:
    plain, named, block = await gateway.rows((0, 3, 1, 1, 0, "", ""), (0, 1, 1, 1, 0, "doc_1", ""), reserve())
    assert (len(plain), len(named), len(block)) == (13, 14, 14)
    assert (plain[1], named[10], block[10]) == (3, 4, 4 + SIZE)
    assert len(await reserved(meter)) == 2


async def test_the_release_before_counts_a_block_reserves_nothing_and_leaves_its_end_alone(
    meter: Stores, gateway: Producer
) -> None:
    try:
        await send(meter.redis, "FUNCTION LOAD", "REPLACE", OLDER_LIBRARY.source)
        made, named = await gateway.rows(reserve(), (0, 1, 1, 1, 0, "doc_1", ""))
        assert (made[0], made[1], len(made), len(named)) == (0, 1, 13, 13)
        assert await reserved(meter) == []
        ended, plain = await gateway.rows(end(made[11], 5), (0, 1, 0, -5, made[11], "", ""))
        assert (ended[10], plain[10]) == (SIZE + 1, SIZE + 1 - 5)
    finally:
        await ensure_library(meter.redis, read_library())
