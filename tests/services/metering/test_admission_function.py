"""What the function counts, refuses and writes, on Redis's own clock; test_burst.py sets the clock."""

import asyncio

import msgspec
import pytest
from redis.exceptions import ResponseError

from services.metering.counters import publish_limits
from services.metering.entries import Entry, decode_entry
from services.metering.ledger import Account
from services.metering.limits import check_terms
from services.metering.stores import Stores, send
from shared.messages import ADMIT_FUNCTION, meter_account, meter_producer, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, Producer, seed_afresh

READ, CREATE, RELEASE, PEEK = (0, 1, 1, 0), (0, 1, 1, 1), (0, 1, 0, -1), (0, 0, 0, 0)


@pytest.fixture
def database_url() -> str:
    """These tests need no ledger."""
    return "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
async def seeded(meter: Stores) -> None:
    await seed_afresh(meter)


async def entries(meter: Stores) -> list[Entry]:
    found = await send(meter.redis, "XRANGE", meter_stream(meter_shard(ACCOUNT)), "-", "+")
    return [decode_entry(fields) for _, fields in found]


async def test_an_unknown_account_asks_to_be_seeded(gateway: Producer) -> None:
    (reply,) = await gateway.admit(READ, account="acct_unknown")
    assert msgspec.structs.astuple(reply) == (1, *[0] * 12)


async def test_an_account_of_no_plan_has_the_free_one(gateway: Producer) -> None:
    (reply,) = await gateway.admit((0, 3, 1, 1))
    assert (reply.status, reply.granted, reply.reason, reply.retry_after_ms) == (0, 3, 0, 0)
    assert (reply.calls_limit, reply.calls_used, reply.documents_limit, reply.documents_used) == (
        500,
        3,
        20,
        3,
    )
    assert (reply.burst_limit, reply.burst_remaining) == (60, 57)


async def test_a_peek_tells_the_state_and_counts_nothing(gateway: Producer, meter: Stores) -> None:
    await gateway.admit(CREATE)
    (reply,) = await gateway.admit(PEEK)
    assert (reply.status, reply.granted, reply.reason, reply.calls_used, reply.documents_used) == (
        0,
        0,
        0,
        1,
        1,
    )
    assert len(await entries(meter)) == 1


async def test_one_call_leaves_one_entry_with_its_sums(gateway: Producer, meter: Stores) -> None:
    await gateway.admit((0, 3, 1, 0), CREATE, CREATE)
    (entry,) = await entries(meter)
    assert (entry.version, entry.producer, entry.seq) == (1, "gateway-1", 1)
    sums = [(counted.account_id, counted.metric, counted.amount) for counted in entry.counted]
    assert sums == [(ACCOUNT, "api_calls", 5), (ACCOUNT, "documents", 2)]
    assert {counted.bucket_s % 3600 for counted in entry.counted} == {0}


async def test_a_call_that_grants_nothing_leaves_no_entry(gateway: Producer, meter: Stores) -> None:
    await gateway.admit((0, 20, 1, 1))
    refused = await gateway.admit(CREATE, READ, account=ACCOUNT)
    assert [(reply.granted, reply.reason) for reply in refused] == [(0, 3), (1, 0)]
    (refused_alone,) = await gateway.admit(CREATE)
    assert (refused_alone.granted, refused_alone.calls_used) == (0, 21)
    assert len(await entries(meter)) == 2


async def test_the_same_seq_gets_the_same_reply_and_counts_once(gateway: Producer, meter: Stores) -> None:
    first = await gateway.admit(READ, CREATE, seq=7)
    again = await gateway.admit((0, 5, 1, 0), CREATE, seq=7)
    assert again == first
    assert len(await entries(meter)) == 1
    assert (await gateway.admit(PEEK, seq=8))[0].calls_used == 2


async def test_a_call_that_comes_after_a_later_one_is_refused_and_counts_nothing(gateway: Producer) -> None:
    await gateway.admit(READ, seq=9)
    with pytest.raises(ResponseError, match="METERSEQ"):
        await gateway.admit(READ, seq=8)
    assert (await gateway.admit(PEEK, seq=10))[0].calls_used == 1


async def test_producers_have_sequences_of_their_own(meter: Stores) -> None:
    for name in ("gateway-1", "gateway-2"):
        await Producer(meter, name).admit(READ, seq=1)
    assert (await Producer(meter, "gateway-3").admit(PEEK))[0].calls_used == 2


async def test_a_producers_record_lives_for_a_day(gateway: Producer, meter: Stores) -> None:
    await gateway.admit(READ)
    key = meter_producer(meter_shard(ACCOUNT), gateway.name)
    assert 86_390 < await send(meter.redis, "TTL", key) <= 86_400
    assert await send(meter.redis, "TTL", meter_account(ACCOUNT)) == -1


async def test_an_older_key_record_is_stale_and_a_newer_one_is_taken(gateway: Producer) -> None:
    assert (await gateway.admit((3, 1, 1, 0)))[0].granted == 1
    (stale,) = await gateway.admit((2, 1, 1, 0))
    assert msgspec.structs.astuple(stale) == (2, *[0] * 12)
    assert (await gateway.admit((3, 1, 1, 0), (-1, 1, 1, 0)))[1].calls_used == 3


async def test_a_generation_is_remembered_before_the_account_is_seeded(
    gateway: Producer, meter: Stores
) -> None:
    assert (await gateway.admit((5, 1, 1, 0), account="acct_new"))[0].status == 1
    await seed_afresh(meter, "acct_new")
    assert (await gateway.admit((4, 1, 1, 0), account="acct_new"))[0].status == 2


async def test_a_release_is_taken_with_a_stale_key(gateway: Producer) -> None:
    await gateway.admit((3, 2, 1, 1))
    (reply,) = await gateway.admit((2, 1, 0, -1))
    assert (reply.status, reply.granted, reply.documents_used, reply.calls_used) == (0, 1, 1, 2)


async def test_a_release_makes_room_within_the_same_call(gateway: Producer) -> None:
    await gateway.admit((0, 20, 1, 1))
    replies = await gateway.admit(RELEASE, (0, 2, 1, 1))
    assert [reply.granted for reply in replies] == [1, 1]


async def test_a_release_never_goes_below_zero_nor_enters_the_ledger_there(
    gateway: Producer, meter: Stores
) -> None:
    await gateway.admit(CREATE)
    (reply,) = await gateway.admit((0, 3, 0, -1))
    assert reply.documents_used == 0
    assert (
        sum(
            row.amount for entry in await entries(meter) for row in entry.counted if row.metric == "documents"
        )
        == 0
    )


async def test_a_release_of_an_earlier_period_leaves_the_current_one_alone(
    gateway: Producer, meter: Stores
) -> None:
    (now,) = await gateway.admit((0, 2, 1, 1, 0))
    earlier_s = now.period_start_s - 86_400
    (reply,) = await gateway.admit((0, 1, 0, -1, earlier_s))
    assert (reply.granted, reply.documents_used) == (1, 2)
    assert [(row.bucket_s, row.amount) for row in (await entries(meter))[-1].counted] == [(earlier_s, -1)]


async def test_a_release_of_a_later_period_asks_to_be_seeded(gateway: Producer) -> None:
    (now,) = await gateway.admit((0, 1, 1, 1, 0))
    assert (await gateway.admit((0, 1, 0, -1, now.period_end_s)))[0].status == 1
    assert (await gateway.admit((0, 1, 0, -1, now.period_start_s)))[0].documents_used == 0


async def set_limits(meter: Stores, version: int, plan: str = "free", **overrides: int | None) -> None:
    account = Account(plan=plan, overrides=check_terms(plan, overrides), version=version)
    await publish_limits(meter.redis, ACCOUNT, account)


async def test_a_plan_below_what_is_used_refuses_until_there_is_room(
    gateway: Producer, meter: Stores
) -> None:
    await set_limits(meter, 1, documents=10)
    await gateway.admit((0, 10, 1, 1))
    await set_limits(meter, 2, documents=4)
    (reply,) = await gateway.admit(CREATE)
    assert (reply.granted, reply.reason, reply.documents_limit, reply.documents_used) == (0, 3, 4, 10)
    assert (await gateway.admit((0, 6, 0, -1), CREATE))[1].granted == 0
    assert (await gateway.admit(RELEASE, CREATE))[1].granted == 1


async def test_an_unlimited_plan_says_minus_one(gateway: Producer, meter: Stores) -> None:
    await set_limits(meter, 1, "enterprise")
    (reply,) = await gateway.admit((0, 50_000, 1, 1))
    assert (reply.granted, reply.calls_limit, reply.documents_limit) == (50_000, -1, -1)


async def test_large_counters_keep_their_last_digit(gateway: Producer, meter: Stores) -> None:
    await send(meter.redis, "HSET", meter_account(ACCOUNT), "calls", -1, "calls_used", 2**53 - 10)
    (reply,) = await gateway.admit((0, 3, 1, 0))
    assert reply.calls_used == 2**53 - 7
    assert await send(meter.redis, "HGET", meter_account(ACCOUNT), "calls_used") == b"%d" % (2**53 - 7)


async def test_any_concurrency_admits_exactly_the_quota(meter: Stores) -> None:
    await set_limits(meter, 1, api_calls=700, documents=90, burst_per_min=None)

    async def use(producer: Producer) -> int:
        return sum([reply.granted for _ in range(40) for reply in await producer.admit((0, 2, 1, 0), CREATE)])

    granted = await asyncio.gather(*(use(Producer(meter, f"gateway-{number}")) for number in range(12)))
    (state,) = await Producer(meter, "last").admit(PEEK)
    assert sum(granted) == state.calls_used == 700
    assert state.documents_used == 90
    counted = [row for entry in await entries(meter) for row in entry.counted]
    assert sum(row.amount for row in counted if row.metric == "api_calls") == 700
    assert sum(row.amount for row in counted if row.metric == "documents") == 90


MALFORMED = (
    (-2, 1, 1, 0), (0, -1, 1, 0), (0, 1, -1, 0), (0, 1, 1, -1), (0, 1_000_001, 1, 0), (0, 1, 1_000_001, 0),
    (0, 1, 0, -1_000_001), (0, 1.5, 1, 0), (0, "nan", 1, 0), (0, "inf", 1, 0), (0, "x", 1, 0), (0, 1, 1),
    (0, 1, 0, -1, -5),
)  # fmt: skip


async def test_a_malformed_item_changes_nothing(gateway: Producer, meter: Stores) -> None:
    for item in MALFORMED:
        with pytest.raises(ResponseError, match="METERARGS"):
            await gateway.admit(item)  # pyright: ignore[reportArgumentType]
    assert await entries(meter) == []
    assert (await gateway.admit(PEEK))[0].calls_used == 0


async def test_a_call_is_bounded(gateway: Producer) -> None:
    assert len(await gateway.admit(*[PEEK] * 1000)) == 1000
    with pytest.raises(ResponseError, match="METERARGS"):
        await gateway.admit(*[PEEK] * 1001)


async def test_a_key_of_another_form_or_shard_is_refused(meter: Stores) -> None:
    stream, producer = "{m0}:stream", "{m0}:producer:p"
    for key in ("{m0}:account:", "{m0}:account:a b", "{m9}:account:acct_one", "acct_one"):
        with pytest.raises(ResponseError, match="METERARGS"):
            await send(meter.redis, "FCALL", ADMIT_FUNCTION, 3, stream, producer, key, "p", 1, *READ)
