"""Events: counted once each, in the row of the moment they tell of, and known to Redis before the next call."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.metering import dirty as cleaning
from services.metering import events as taking
from services.metering.consumer import in_background
from services.metering.dirty import BATCH_MAX, clean_accounts, clean_all
from services.metering.events import (
    AGE_MAX,
    EVENTS_KEPT,
    EVENTS_MAX,
    Event,
    bucket_of,
    expire_events,
    read_events,
    take_events,
)
from services.metering.ledger import select_dirty
from services.metering.library import read_library
from services.metering.limits import Billing, period_at
from services.metering.seeding import seed_account
from services.metering.stores import Stores
from shared.messages import meter_shard
from tests.services.metering.conftest import ACCOUNT, Producer, eventually

NOW = datetime(2026, 3, 15, 12, 34, 56, tzinfo=UTC)
HOUR = NOW.replace(minute=0, second=0)
PEEK = (0, 0, 0, 0)


def event(event_id: str, amount: int = 1, metric: str = "api_calls", **more: Any) -> Event:
    return Event(id=event_id, account=more.pop("account", ACCOUNT), metric=metric, amount=amount,
                 time=more.pop("time", NOW))  # fmt: skip


async def taken(meter: Stores, *events: Event) -> tuple[int, list[str]]:
    async with meter.pool.acquire() as connection:
        return await take_events(connection, events)


async def ledger(meter: Stores) -> dict[tuple[Any, ...], int]:
    async with meter.pool.acquire() as connection:
        rows = await connection.fetch("select account_id, metric, hour, amount from metering.usage")
    return {tuple(row)[:3]: row[3] for row in rows}


async def dirty(meter: Stores) -> list[str]:
    async with meter.pool.acquire() as connection:
        return await select_dirty(connection)


async def test_events_add_up_per_account_metric_and_hour(meter: Stores) -> None:
    given = [
        event("a", 2), event("b", 3, time=NOW + timedelta(minutes=20)), event("c", 4, time=NOW + timedelta(hours=1)),
        event("d", 5, "documents"), event("e", 6, "pages_1"), event("f", 7, account="acct_two"), event("g", 0),
    ]  # fmt: skip
    assert await taken(meter, *given) == (7, [ACCOUNT, "acct_two"])
    assert await ledger(meter) == {
        (ACCOUNT, "api_calls", HOUR): 5, (ACCOUNT, "api_calls", HOUR + timedelta(hours=1)): 4,
        (ACCOUNT, "documents", HOUR): 5, (ACCOUNT, "pages_1", HOUR): 6, ("acct_two", "api_calls", HOUR): 7,
    }  # fmt: skip


async def test_an_id_counts_once_within_a_batch_and_across_batches(meter: Stores) -> None:
    assert (await taken(meter, event("a", 1), event("b", 10), event("a", 100)))[0] == 2
    assert (await taken(meter, event("b", 10), event("c", 1_000), event("a", 7, account="acct_two")))[0] == 1
    assert await taken(meter, event("a"), event("b")) == (0, [])
    assert await ledger(meter) == {(ACCOUNT, "api_calls", HOUR): 1_011}


async def test_batches_that_share_their_events_count_each_once_however_they_meet(meter: Stores) -> None:
    ids = [f"e{number}" for number in range(300)]
    batches = [
        [event(name, account=f"acct_{name[-1]}") for name in ids[at:] + ids[:at]] for at in range(0, 300, 37)
    ]
    counts = await asyncio.gather(*(taken(meter, *batch) for batch in batches))
    assert sum(count for count, _ in counts) == 300
    assert sum((await ledger(meter)).values()) == 300


async def test_a_batch_that_fails_is_taken_whole_when_it_comes_again(
    meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object) -> None:
        raise asyncpg.PostgresConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(taking, "upsert_dirty", failing)
        with pytest.raises(asyncpg.PostgresConnectionError):
            await taken(meter, event("a"), event("b"))
    assert await ledger(meter) == {}
    assert (await taken(meter, event("a"), event("b")))[0] == 2


async def test_the_largest_batch_is_taken_within_its_time(meter: Stores) -> None:
    batch = [event(f"e{number}", account=f"acct_{number}") for number in range(EVENTS_MAX)]
    async with asyncio.timeout(8):
        assert (await taken(meter, *batch))[0] == EVENTS_MAX
        assert len(await dirty(meter)) == EVENTS_MAX > BATCH_MAX
        await clean_all(meter)
    assert await dirty(meter) == []


async def test_the_next_call_after_an_event_is_decided_with_it(meter: Stores, gateway: Producer) -> None:
    await seed_account(meter, ACCOUNT)
    await gateway.admit((0, 3, 1, 1))
    _, accounts = await taken(meter, event("a", 490, time=datetime.now(UTC)), event("b", 5, "documents"))
    await clean_accounts(meter, accounts)
    assert (await gateway.admit((0, 1, 1, 0)))[0].status == 1
    await seed_account(meter, ACCOUNT)
    (reply,) = await gateway.admit((0, 20, 1, 0))
    assert (reply.granted, reply.calls_used) == (7, 500)


async def test_a_metric_that_no_plan_limits_leaves_the_counters_alone(
    meter: Stores, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)
    assert (await taken(meter, event("a", 9, "pages")))[1] == []
    assert (await gateway.admit(PEEK))[0].status == 0


async def test_what_a_crash_left_dirty_is_cleaned_in_the_background(meter: Stores, gateway: Producer) -> None:
    await seed_account(meter, ACCOUNT)
    await taken(meter, event("a", 5, time=datetime.now(UTC)))

    async def clean() -> bool:
        return await dirty(meter) == []

    async with in_background(meter, read_library()):
        await eventually(clean)
    assert (await gateway.admit(PEEK))[0].status == 1


async def test_a_shard_whose_node_is_away_keeps_no_other_dirty(
    meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await taken(meter, *(event(f"e{number}", account=f"acct_{number}") for number in range(40)))
    away = meter_shard("acct_0")

    async def partly(redis: Any, account_ids: list[str]) -> None:
        assert redis
        if meter_shard(account_ids[0]) == away:
            raise RedisTimeoutError

    monkeypatch.setattr(cleaning, "forget_counters", partly)
    with pytest.raises(RedisTimeoutError):
        await clean_all(meter)
    assert {meter_shard(account_id) for account_id in await dirty(meter)} == {away}


async def test_an_account_that_is_marked_while_it_is_cleaned_is_cleaned_again(meter: Stores) -> None:
    await taken(meter, event("a"))
    async with meter.pool.acquire() as connection:
        async with connection.transaction():
            await take_events(connection, [event("b")])
            task = asyncio.create_task(clean_accounts(meter, [ACCOUNT]))
            await asyncio.sleep(0.1)
            assert not task.done()  # or a seed could read the ledger without b, and nobody would look again
        await task
    assert await dirty(meter) == []


async def test_ids_are_forgotten_only_when_their_events_would_be_too_old(meter: Stores) -> None:
    await taken(meter, event("a"))
    async with meter.pool.acquire() as connection:
        now = await connection.fetchval("select received_at from metering.events")
        await expire_events(connection, now + EVENTS_KEPT)
        assert await connection.fetchval("select count(*) from metering.events") == 1
        await expire_events(connection, now + EVENTS_KEPT + timedelta(seconds=1))
        assert await connection.fetchval("select count(*) from metering.events") == 0
    assert EVENTS_KEPT > AGE_MAX


@pytest.mark.parametrize(
    ("time", "bucket"),
    [
        ("2026-03-15T12:59:59.999999+00:00", "2026-03-15T12:00:00+00:00"),
        ("2026-03-15T13:00:00+05:30", "2026-03-15T07:00:00+00:00"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:00:00+00:00"),
    ],
)
def test_a_moment_belongs_to_its_utc_hour(time: str, bucket: str) -> None:
    moment = datetime.fromisoformat(time)
    assert bucket_of(moment) == datetime.fromisoformat(bucket)
    assert period_at(moment).start <= bucket_of(moment) <= moment


@pytest.mark.parametrize(
    ("time", "bucket"),
    [
        ("2026-03-14T18:29:59Z", "2026-03-14T18:00:00Z"),
        ("2026-03-14T18:30:00Z", "2026-03-14T18:30:00Z"),
        ("2026-03-14T19:00:00Z", "2026-03-14T19:00:00Z"),
    ],
)
def test_the_hour_in_which_a_period_begins_is_cut_there(time: str, bucket: str) -> None:
    terms = [Billing(datetime(1980, 1, 1, tzinfo=UTC), 15, "Asia/Kolkata")]
    assert bucket_of(datetime.fromisoformat(time), terms) == datetime.fromisoformat(bucket)


WHOLE: dict[str, Any] = {"id": "x", "account": ACCOUNT, "metric": "pages", "amount": 1}
WRONG: tuple[tuple[object, str], ...] = (
    ([], "Expected `object`"), ({}, "missing required field"), (None, "Expected `object`"),
    ({**WHOLE, "id": ""}, "$.id"), ({**WHOLE, "id": "a b"}, "$.id"), ({**WHOLE, "id": "x\n"}, "$.id"),
    ({**WHOLE, "id": "x\x00"}, "$.id"), ({**WHOLE, "id": "é"}, "$.id"), ({**WHOLE, "id": "x" * 256}, "$.id"),
    ({**WHOLE, "account": "a\n"}, "$.account"), ({**WHOLE, "account": "../x"}, "$.account"),
    ({**WHOLE, "metric": "Pages"}, "$.metric"), ({**WHOLE, "metric": "1p"}, "$.metric"),
    ({**WHOLE, "metric": "p" * 41}, "$.metric"), ({**WHOLE, "metric": "pages\n"}, "$.metric"),
    ({**WHOLE, "amount": -1}, "$.amount"), ({**WHOLE, "amount": 1.5}, "$.amount"),
    ({**WHOLE, "amount": "1"}, "$.amount"),
    ({**WHOLE, "amount": 1_000_000_001}, "$.amount"), ({**WHOLE, "amount": 10**400}, "$.amount"),
    ({**WHOLE, "time": "2026-03-15T12:00:00"}, "$.time"), ({**WHOLE, "time": "yesterday"}, "$.time"),
    ({**WHOLE, "time": "2026-03-15T12:40:00Z"}, "5 minutes ahead"),
    ({**WHOLE, "time": "2026-02-08T12:34:55Z"}, "35 days"),
    ({**WHOLE, "time": "0001-01-01T00:00:00+14:00"}, "35 days"),
    ({**WHOLE, "time": "9999-12-31T23:59:59-14:00"}, "ahead"),
    ({**WHOLE, "user": 1}, "unknown field"),
)  # fmt: skip


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_a_wrong_event_is_refused_alone(given: object, said: str) -> None:
    raws = [msgspec.Raw(msgspec.json.encode(one)) for one in (WHOLE, given, {**WHOLE, "time": NOW})]
    events, refused = read_events(raws, NOW)
    assert [(event.id, event.time) for event in events] == [("x", NOW), ("x", NOW)]
    assert [one.index for one in refused] == [1]
    assert said in refused[0].message
