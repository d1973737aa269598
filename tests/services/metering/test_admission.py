"""Admission in batches: limits of the plan, metrics without any, and ids that are decided once whatever crashes."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.metering import admission, invocation
from services.metering.accounts import set_plan
from services.metering.admission import SEQS_MAX, Admission, Ask, Verdict
from services.metering.handover import hand_over
from services.metering.invocation import producer_of
from services.metering.seeding import Seeder
from services.metering.stores import Stores, send
from shared.errors import Problem
from shared.messages import meter_account, meter_producer, meter_shard
from tests.services.metering.conftest import ACCOUNT

SHARD = meter_shard(ACCOUNT)


@pytest.fixture
def door(meter: Stores) -> Admission:
    return Admission(meter, Seeder(meter))


def ask(metric: str = "api_calls", cost: int = 1, **more: Any) -> Ask:
    return Ask(account=more.pop("account", ACCOUNT), metric=metric, cost=cost, **more)


async def used(meter: Stores) -> tuple[int, int]:
    found = await send(meter.redis, "HMGET", meter_account(ACCOUNT), "calls_used", "docs_used")
    return int(found[0]), int(found[1])


async def ledger(meter: Stores, metric: str = "api_calls") -> int:
    async with meter.pool.acquire() as connection:
        while await hand_over(connection, meter.redis, SHARD):
            pass
        return await connection.fetchval(
            "select coalesce(sum(amount), 0)::bigint from metering.usage where metric = $1", metric
        )


async def test_an_id_is_decided_and_counted_once(door: Admission, meter: Stores) -> None:
    first = await door.admit([ask(cost=7, id="a"), ask("documents", 3, id="b"), ask(cost=7, id="a")])
    assert [one.granted for one in first] == [True] * 3
    assert await door.admit([ask(cost=7, id="a"), ask("documents", 3, id="b"), ask(cost=7, id="a")]) == first
    assert await used(meter) == (7, 3)
    await door.admit([ask(cost=7, id="a", account="acct_two"), ask(cost=7, id="c")])
    assert await used(meter) == (14, 3)
    assert await ledger(meter) == 14


async def test_a_refusal_under_an_id_stays_one(door: Admission, meter: Stores) -> None:
    (refused,) = await door.admit([ask("documents", 21, id="a")])
    assert (refused.granted, refused.reason, refused.remaining) == (False, "documents", 20)
    async with meter.pool.acquire() as connection:
        await set_plan(connection, meter.redis, ACCOUNT, "enterprise")
    assert (await door.admit([ask("documents", 21, id="a")]))[0].granted is False
    assert (await door.admit([ask("documents", 21, id="b")]))[0].granted is True


async def test_an_id_is_decided_once_however_many_ask_at_once(door: Admission, meter: Stores) -> None:
    other = Admission(meter, Seeder(meter))
    asks = [ask(id=f"a{number}") for number in range(10)]
    answers = await asyncio.gather(*(which.admit(asks) for which in (door, other) * 10))
    assert all(verdict.granted for verdicts in answers for verdict in verdicts)
    assert await used(meter) == (10, 0)
    assert await ledger(meter) == 10


async def test_a_lost_reply_under_an_id_counts_once(
    door: Admission, meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = invocation.pipelined

    async def losing(redis: Any, commands: Any) -> Any:
        await whole(redis, commands)
        raise RedisTimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(invocation, "pipelined", losing)
        for _ in range(3):
            with pytest.raises(RedisTimeoutError):
                await door.admit([ask(cost=5, id="a")])
    assert (await door.admit([ask(cost=5, id="a")]))[0].granted is True
    assert await used(meter) == (5, 0)


async def test_an_id_that_redis_has_lost_is_known_to_the_ledger(door: Admission, meter: Stores) -> None:
    (first,) = await door.admit([ask(cost=5, id="a")])
    assert first.remaining == 495
    assert await ledger(meter) == 5
    await send(meter.redis, "FLUSHDB")
    assert await door.admit([ask(cost=5, id="a")]) == [
        Verdict(account=ACCOUNT, metric="api_calls", granted=True, id="a")
    ]
    await door.admit([ask(cost=1)])
    assert await used(meter) == (6, 0)
    assert await ledger(meter) == 6


async def test_an_id_that_redis_counted_handed_over_and_lost_with_its_reply_counts_once(
    door: Admission, meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, lost = invocation.pipelined, list[bool]()

    async def losing(redis: Any, commands: Any) -> Any:
        replies = await whole(redis, commands)
        if replies[0][0][0] == 0 and not lost:
            lost.append(True)
            assert await ledger(meter) == 5
            await send(meter.redis, "FLUSHDB")
            return await whole(redis, commands)  # as the second attempt does
        return replies

    monkeypatch.setattr(invocation, "pipelined", losing)
    assert (await door.admit([ask(cost=5, id="a")]))[0].granted is True
    assert lost
    assert await used(meter) == (5, 0)
    assert await ledger(meter) == 5


async def test_what_may_have_been_counted_and_lost_is_not_asked_for_anew(
    door: Admission, meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.admit([ask(cost=1)])
    lost: list[bool] = []

    async def losing(redis: Any, *parts: Any) -> Any:
        reply = await send(redis, *parts)
        if not lost:
            lost.append(True)
            assert await ledger(meter) == 6
            await send(meter.redis, "FLUSHDB")
            raise RedisTimeoutError
        return reply

    monkeypatch.setattr(invocation, "send", losing)
    with pytest.raises(Problem, match="not known"):
        await door.admit([ask(cost=5)])
    await door.admit([ask(cost=1)])
    assert await used(meter) == (7, 0)
    assert await ledger(meter) == 7


async def test_an_account_that_is_lost_between_two_askings_is_seeded(door: Admission, meter: Stores) -> None:
    await door.admit([ask(cost=5, id="a")])
    await send(meter.redis, "DEL", meter_account(ACCOUNT))
    assert [one.granted for one in await door.admit([ask(cost=5, id="a"), ask(cost=2, id="b")])] == [
        True,
        True,
    ]
    assert await used(meter) == (7, 0)


async def test_a_reply_under_an_id_is_kept_for_a_day(door: Admission, meter: Stores) -> None:
    await door.admit([ask(id="a")])
    kept_s = await send(meter.redis, "TTL", meter_producer(SHARD, producer_of(ACCOUNT, "a")))
    assert 86_390 < kept_s <= 86_400


async def test_an_account_that_is_never_seeded_is_unavailable(
    door: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def idle(*_: object) -> None:
        return

    monkeypatch.setattr(Seeder, "seed", idle)
    monkeypatch.setattr(admission, "SEQS_MAX", 3)
    for one in (ask(), ask(id="a")):
        with pytest.raises(Problem, match="could not be seeded"):
            await door.admit([one])
    assert SEQS_MAX > 3


async def test_a_metric_that_nothing_limits_is_counted_whole(door: Admission, meter: Stores) -> None:
    asks = [
        ask("pages", 1_000_000),
        ask("pages", 2, id="a"),
        ask("pages", 2, id="a"),
        ask("seats", 0),
        ask("pages", 3),
    ]
    verdicts = await door.admit(asks)
    assert verdicts[1] == Verdict(account=ACCOUNT, metric="pages", granted=True, id="a")
    assert [one.granted for one in await door.admit([ask("pages", 2, id="a")])] == [True]
    assert await ledger(meter, "pages") == 1_000_005


async def test_what_costs_nothing_is_granted_even_when_all_is_used_up(door: Admission, meter: Stores) -> None:
    await door.admit([ask("documents", 20)])
    spent, free = await door.admit([ask("documents"), ask("documents", 0)])
    assert (spent.granted, free.granted) == (False, True)
    assert await used(meter) == (0, 20)


async def test_a_batch_of_a_thousand_ids_over_all_shards_is_answered_in_order(door: Admission) -> None:
    asks = [ask(account=f"acct_{number % 50}", id=f"i{number}") for number in range(1_000)]
    async with asyncio.timeout(8):
        verdicts = await door.admit(asks)
    assert [(one.account, one.id) for one in verdicts] == [(one.account, one.id) for one in asks]
    assert all(verdict.granted for verdict in verdicts)
