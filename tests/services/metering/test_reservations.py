"""Reservations in the function: made with a create, and ended exactly once, whoever ends them and however often."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from services.metering.entries import decode_entry
from services.metering.library import ensure_library, read_library
from services.metering.stores import Stores, send
from shared.messages import meter_reserved, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, OLDER_LIBRARY, Item, Producer, seed_afresh

SHARD = meter_shard(ACCOUNT)
PEEK = (0, 0, 0, 0)


@pytest.fixture
def database_url() -> str:
    """These tests need no ledger."""
    return "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
async def seeded(meter: Stores) -> None:
    await seed_afresh(meter)


def create(name: str = "doc_1") -> Item:
    return (0, 1, 1, 1, 0, name)


def settle(period_s: int, name: str = "doc_1") -> Item:
    return (-1, 1, 0, 0, period_s, name)


def release(period_s: int, name: str = "doc_1") -> Item:
    return (-1, 1, 0, -1, period_s, name)


async def reserved(meter: Stores) -> list[str]:
    return [member.decode() for member in await send(meter.redis, "ZRANGE", meter_reserved(SHARD), 0, -1)]


async def documents_in_stream(meter: Stores) -> int:
    found = await send(meter.redis, "XRANGE", meter_stream(SHARD), "-", "+")
    rows = [row for _, fields in found for row in decode_entry(fields).counted]
    return sum(row.amount for row in rows if row.metric == "documents")


async def test_a_create_is_counted_and_reserved_by_its_accounts_period_and_name(
    meter: Stores, gateway: Producer
) -> None:
    (row,) = await gateway.rows(create())
    assert (row[0], row[1], row[10], row[13]) == (0, 1, 1, 1)
    assert await reserved(meter) == [f"{ACCOUNT} {row[11]} doc_1"]
    score = await send(meter.redis, "ZSCORE", meter_reserved(SHARD), f"{ACCOUNT} {row[11]} doc_1")
    seconds, _ = await send(meter.redis, "TIME")
    assert seconds - 5 <= float(score) / 1000 <= seconds + 1


async def test_a_refused_create_reserves_nothing(meter: Stores, gateway: Producer) -> None:
    await gateway.admit((0, 20, 1, 1))
    (row,) = await gateway.rows(create())
    assert (row[1], row[2], row[13]) == (0, 3, 0)
    assert await reserved(meter) == []


async def test_settling_counts_nothing_and_leaves_no_entry(meter: Stores, gateway: Producer) -> None:
    (made,) = await gateway.rows(create())
    (row,) = await gateway.rows(settle(made[11]))
    assert (row[0], row[13]) == (0, 1)
    assert await reserved(meter) == []
    assert (await gateway.admit(PEEK))[0].documents_used == await documents_in_stream(meter) == 1
    assert (await gateway.rows(settle(made[11])))[0][13] == 0


async def test_a_release_gives_back_once_however_often_it_comes(meter: Stores, gateway: Producer) -> None:
    (made,) = await gateway.rows(create())
    rows = await gateway.rows(*[release(made[11])] * 3)
    assert [(row[1], row[13], row[10]) for row in rows] == [(1, 1, 0), (0, 0, 0), (0, 0, 0)]
    assert (await gateway.admit(PEEK))[0].calls_used == 1
    assert await documents_in_stream(meter) == 0


async def test_what_is_settled_cannot_be_released(meter: Stores, gateway: Producer) -> None:
    (made,) = await gateway.rows(create())
    await gateway.rows(settle(made[11]), release(made[11]))
    assert (await gateway.admit(PEEK))[0].documents_used == await documents_in_stream(meter) == 1


async def test_many_who_end_one_reservation_end_it_once(meter: Stores, gateway: Producer) -> None:
    rows = await gateway.rows(*(create(f"doc_{number}") for number in range(10)))
    sweepers = [Producer(meter, f"sweeper-{number}") for number in range(6)]
    ends = [
        sweeper.rows(*(release(rows[0][11], f"doc_{number}") for number in range(10))) for sweeper in sweepers
    ]
    ended = await asyncio.gather(*ends)
    assert sum(row[13] for rows in ended for row in rows) == 10
    assert (await gateway.admit(PEEK))[0].documents_used == await documents_in_stream(meter) == 0


async def test_the_same_seq_reserves_once_and_says_so_again(meter: Stores, gateway: Producer) -> None:
    first = await gateway.rows(create(), seq=5)
    assert await gateway.rows(create(), seq=5) == first
    assert len(await reserved(meter)) == (await gateway.admit(PEEK))[0].documents_used == 1


async def test_a_settle_needs_no_counters_and_a_release_asks_for_them(
    meter: Stores, gateway: Producer
) -> None:
    (made,) = await gateway.rows(create("doc_1"))
    await gateway.rows(create("doc_2"))
    await send(meter.redis, "FUNCTION LOAD", "REPLACE", read_library().source)
    settled, released = await gateway.rows(settle(made[11], "doc_1"), release(made[11], "doc_2"))
    assert (settled[0], settled[13], released[0]) == (0, 1, 1)
    assert await reserved(meter) == [f"{ACCOUNT} {made[11]} doc_2"]


async def test_a_release_of_an_earlier_period_leaves_the_current_one_alone(
    meter: Stores, gateway: Producer
) -> None:
    (made,) = await gateway.rows(create())
    earlier_s = made[11] - 86_400
    await send(meter.redis, "ZADD", meter_reserved(SHARD), 1, f"{ACCOUNT} {earlier_s} doc_0")
    rows = await gateway.rows(*[release(earlier_s, "doc_0")] * 2)
    assert [(row[1], row[10]) for row in rows] == [(1, 1), (0, 1)]
    assert await documents_in_stream(meter) == 0


MALFORMED: tuple[Item, ...] = (
    (0, 2, 1, 1, 0, "doc_1"), (0, 0, 1, 1, 0, "doc_1"), (0, 1, 1, 2, 0, "doc_1"), (0, 1, 1, 1, 5, "doc_1"),
    (-1, 1, 1, 0, 5, "doc_1"), (-1, 1, 0, 0, 0, "doc_1"), (-1, 1, 0, -1, 0, "doc_1"), (-1, 1, 0, -2, 5, "doc_1"),
    (0, 1, 1, 1, 0, "a b"), (0, 1, 1, 1, 0, "x" * 65),
)  # fmt: skip


@pytest.mark.parametrize("item", MALFORMED, ids=str)
async def test_a_malformed_reservation_changes_nothing(meter: Stores, gateway: Producer, item: Item) -> None:
    with pytest.raises(ResponseError, match="METERARGS"):
        await gateway.rows(create("doc_0"), item)
    assert await reserved(meter) == []
    assert (await gateway.admit(PEEK))[0].documents_used == 0


async def test_items_without_a_name_are_as_ever_among_those_with_one(gateway: Producer) -> None:
    plain, named, released = await gateway.rows((0, 3, 1, 1, 0, ""), create(), (0, 1, 0, -1, 0, ""))
    assert (len(plain), len(named), len(released)) == (13, 14, 13)
    assert (plain[1], named[10], released[10]) == (3, 4, 3)


async def test_the_release_before_decides_a_create_and_reserves_nothing(
    meter: Stores, gateway: Producer
) -> None:
    try:
        await send(meter.redis, "FUNCTION LOAD", "REPLACE", OLDER_LIBRARY.source)
        (made,) = await gateway.rows(create())
        assert (made[0], made[1], len(made)) == (0, 1, 13)
        assert await reserved(meter) == []
        (back,) = await gateway.rows((0, 1, 0, -1, made[11], ""))
        assert back[10] == 0
    finally:
        await ensure_library(meter.redis, read_library())
