"""Usage over HTTP: of this period, of earlier ones and of any range, whatever becomes of the counters."""

import asyncio
from datetime import UTC, datetime

import httpx2
import pytest

from services.metering import routes
from services.metering.handover import hand_over
from services.metering.ledger import UsageRow, add_usage
from services.metering.limits import period_at
from services.metering.stores import Stores, redis_clock, send
from shared.messages import meter_account, meter_shard
from tests.services.metering.conftest import ACCOUNT, ADMIT, LIMITS, USAGE, ask


async def test_usage_has_the_documented_shape(client: httpx2.AsyncClient, meter: Stores) -> None:
    await client.put(LIMITS, json={"plan": "growth", "overrides": {"documents": None}})
    period = period_at(await redis_clock(meter.redis))
    answer = await client.get(USAGE)
    assert answer.status_code == 200
    assert answer.json() == {
        "plan": "growth",
        "period": {"start": period.start.date().isoformat(), "end": period.last_day.isoformat()},
        "documents": {"used": 0, "limit": None},
        "api_calls": {"used": 0, "limit": 10_000},
    }


async def test_usage_of_an_earlier_period_is_the_ledgers_under_the_limits_of_now(
    client: httpx2.AsyncClient, meter: Stores
) -> None:
    async with meter.pool.acquire() as connection:
        await add_usage(connection, [UsageRow(ACCOUNT, "api_calls", datetime(2026, 2, 3, 4, tzinfo=UTC), 5)])
    await client.put(LIMITS, json={"plan": "growth"})
    answer = await client.get(USAGE, params={"period": "2026-02"})
    assert answer.json() == {
        "plan": "growth",
        "period": {"start": "2026-02-01", "end": "2026-02-28"},
        "documents": {"used": 0, "limit": 1_000},
        "api_calls": {"used": 5, "limit": 10_000},
    }
    with_days = (await client.get(USAGE, params={"period": "2026-02", "history": "day"})).json()
    assert {name: value for name, value in with_days.items() if name != "history"} == answer.json()
    assert with_days["history"][2] == {"date": "2026-02-03", "documents": 0, "api_calls": 5}
    assert len(with_days["history"]) == 28


async def test_history_is_told_over_any_range(client: httpx2.AsyncClient, meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await add_usage(connection, [UsageRow(ACCOUNT, "pages", datetime(2026, 2, 3, 4, tzinfo=UTC), 5)])
    answer = await client.get(
        USAGE, params={"from": "2026-02-03T04:00:00Z", "to": "2026-02-03T06:00:00Z", "granularity": "hour"}
    )
    assert answer.json() == {
        "account": ACCOUNT, "granularity": "hour", "from": "2026-02-03T04:00:00Z", "to": "2026-02-03T06:00:00Z",
        "data": [
            {"start": "2026-02-03T04:00:00Z", "documents": 0, "api_calls": 0, "pages": 5},
            {"start": "2026-02-03T05:00:00Z", "documents": 0, "api_calls": 0, "pages": 0},
        ],
    }  # fmt: skip
    assert (await client.get(USAGE, params={"granularity": "month"})).json()["data"][0]["api_calls"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=2026-13", "period"), ("period=2199-01", "period"), ("history=hour", "history"),
        ("history=", "history"),
        ("granularity=year", "granularity"), ("period=2026-02&granularity=day", "period"), ("from=x", "from"),
        ("user=1", "user"), ("from=2026-02-01&from=2026-02-02", "from"), ("history=day&from=2026-01-01", "period"),
    ],
)  # fmt: skip
async def test_a_bad_query_is_told(client: httpx2.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"{USAGE}?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_parameter")
    assert list(answer.json()["details"]) == [field]


async def test_usage_is_exact_even_where_the_counters_are_gone(
    client: httpx2.AsyncClient, meter: Stores
) -> None:
    await client.post(ADMIT, json={"items": [ask("api_calls", 7)]})
    await send(meter.redis, "DEL", meter_account(ACCOUNT))
    assert (await client.get(USAGE)).json()["api_calls"]["used"] == 7


async def test_usage_comes_from_the_ledger_while_redis_hangs(
    client: httpx2.AsyncClient, meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post(ADMIT, json={"items": [ask("api_calls", 7)]})
    async with meter.pool.acquire() as connection:
        await hand_over(connection, meter.redis, meter_shard(ACCOUNT))
    monkeypatch.setattr(routes, "STATE_TIMEOUT_S", 0.2)
    await send(meter.redis, "CLIENT PAUSE", 4_000, "ALL")
    async with asyncio.timeout(4):
        answer = await client.get(USAGE)
    assert (answer.status_code, answer.json()["api_calls"]["used"]) == (200, 7)
    await asyncio.sleep(2)
