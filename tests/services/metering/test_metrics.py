"""What metering tells at /metrics, and the alarms on it."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import yaml

from services.metering.events import Event, take_events
from services.metering.handover import hand_over
from services.metering.metrics import METRICS, Sample, exposition, read_metrics
from services.metering.seeding import seed_account
from services.metering.settings import Settings
from services.metering.stores import Stores, redis_clock, send
from shared.messages import METER_SHARDS, meter_reserved, meter_shard, meter_stream
from tests.services.metering.conftest import ACCOUNT, Producer, client_of

SHARD = meter_shard(ACCOUNT)
RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "metering.rules.yml"
LINE = re.compile(r'([a-z_]+)(?:\{([a-z]+)="([a-z0-9]+)"\})? ([0-9.e+-]+)')

Values = dict[tuple[str, str], float]


def values(text: str) -> Values:
    found: Values = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, label, value = LINE.fullmatch(line).groups()  # pyright: ignore[reportOptionalMemberAccess]
            found[name, label or ""] = float(value)
    return found


async def told(meter: Stores) -> Values:
    return values(await read_metrics(meter))


async def test_a_quiet_meter_tells_zeros_for_every_shard(meter: Stores) -> None:
    found = await told(meter)
    assert {name for name, _ in found} == set(METRICS)
    assert (found["invouno_store_up", "redis"], found["invouno_store_up", "postgres"]) == (1, 1)
    assert found.pop(("invouno_meter_library_revision", "")) > 0
    assert {value for (name, _), value in found.items() if name != "invouno_store_up"} == {0}
    assert len([label for name, label in found if name == "invouno_meter_stream_entries"]) == METER_SHARDS


async def test_what_waits_is_told_with_its_age_and_then_as_handed_over(
    meter: Stores, gateway: Producer
) -> None:
    await seed_account(meter, ACCOUNT)
    now_ms = int((await redis_clock(meter.redis)).timestamp() * 1000)
    await send(meter.redis, "XADD", meter_stream(SHARD), f"{now_ms - 90_000}-0", "e", b"not an entry")
    await gateway.admit((0, 1, 1, 0))
    found = await told(meter)
    assert found["invouno_meter_stream_entries", str(SHARD)] == 2
    assert 90 <= found["invouno_meter_stream_oldest_age_seconds", str(SHARD)] < 100
    assert (
        found["invouno_ledger_lag_seconds", ""]
        == found["invouno_meter_stream_oldest_age_seconds", str(SHARD)]
    )
    async with meter.pool.acquire() as connection:
        await hand_over(connection, meter.redis, SHARD)
    found = await told(meter)
    assert found["invouno_meter_handed_over_total", str(SHARD)] == 2
    assert found["invouno_meter_poison_entries", str(SHARD)] == 1
    assert found["invouno_ledger_lag_seconds", ""] == 0


async def test_dirty_accounts_and_reservations_that_stay_are_told(meter: Stores) -> None:
    now = await redis_clock(meter.redis)
    member = f"{ACCOUNT} 0 doc_x"
    await send(meter.redis, "ZADD", meter_reserved(SHARD), int(now.timestamp() * 1000) - 300_000, member)
    async with meter.pool.acquire() as connection:
        await take_events(
            connection, [Event(id="a", account=ACCOUNT, metric="api_calls", amount=1, time=now)]
        )
        await connection.execute(
            "update metering.dirty_accounts set marked_at = now() - interval '2 minutes'"
        )
    found = await told(meter)
    assert 300 <= found["invouno_meter_reservation_oldest_age_seconds", str(SHARD)] < 310
    assert found["invouno_dirty_accounts", ""] == 1
    assert 120 <= found["invouno_dirty_oldest_age_seconds", ""] < 130


@pytest.fixture
async def half(settings: Settings) -> AsyncGenerator[httpx2.AsyncClient]:
    async for client in client_of(msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1")):
        yield client


async def test_a_store_that_is_away_is_told_and_needs_no_token(half: httpx2.AsyncClient) -> None:
    answer = await half.get("/metrics", headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (
        200, "text/plain; version=0.0.4; charset=utf-8",
    )  # fmt: skip
    assert values(answer.text) == {
        ("invouno_store_up", "redis"): 0,
        ("invouno_store_up", "postgres"): 1,
        ("invouno_dirty_accounts", ""): 0,
        ("invouno_dirty_oldest_age_seconds", ""): 0,
    }


def test_large_values_are_told_whole_and_each_name_once() -> None:
    samples = [Sample("invouno_dirty_accounts", 123_456_789_012), Sample("invouno_store_up", 1, 'store="a"'),
               Sample("invouno_store_up", 0, 'store="b"')]  # fmt: skip
    text = exposition(samples)
    assert "invouno_dirty_accounts 123456789012\n" in text
    assert text.count("# TYPE invouno_store_up gauge\n") == 1
    assert text.endswith("\n")


def alarms() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def test_every_alarm_is_on_a_metric_that_is_told() -> None:
    assert len({alarm["alert"] for alarm in alarms()}) == len(alarms()) > 5
    for alarm in alarms():
        assert alarm.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(re.findall(r"invouno_\w+", alarm["expr"])) <= set(METRICS), alarm["alert"]
        assert alarm["labels"]["severity"] in {"warning", "critical"}
        assert alarm["annotations"].keys() == {"summary", "description"}


def test_every_metric_stands_on_the_operations_page() -> None:
    page = (RULES.parents[2] / "docs" / "operations.md").read_text()
    assert [name for name in METRICS if name not in page] == []


def test_the_age_of_what_waits_poison_and_absence_have_alarms() -> None:
    expressions = " ".join(alarm["expr"] for alarm in alarms())
    for metric in ("invouno_ledger_lag_seconds", "invouno_meter_poison_entries", "invouno_store_up"):
        assert metric in expressions
