"""What an operator watches, in Prometheus's text format: how far the ledger lags, and what waits, failed or is away.

All is read from the stores when it is asked for, so every metering process tells the same.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.metering.handover import poison_stream
from services.metering.ledger import select_dirty_since
from services.metering.library import revision_of
from services.metering.stores import STORE_ERRORS, Stores, redis_clock, send
from shared.messages import METER_SHARDS, meter_reserved, meter_stream
from shared.postgres import acquired

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRICS: Mapping[str, tuple[str, str]] = {
    "invouno_store_up": ("gauge", "1 when the store answers, 0 when it does not."),
    "invouno_ledger_lag_seconds": ("gauge", "Age of the oldest admission that the ledger does not have yet."),
    "invouno_meter_stream_oldest_age_seconds": (
        "gauge",
        "Age of the stream's oldest entry, 0 when it is empty.",
    ),
    "invouno_meter_stream_entries": ("gauge", "Entries that wait in the stream for the ledger."),
    "invouno_meter_handed_over_total": (
        "counter",
        "Entries that have left the stream since Redis has had it.",
    ),
    "invouno_meter_poison_entries": ("gauge", "Entries that could not be counted and were set aside."),
    "invouno_meter_reservation_oldest_age_seconds": (
        "gauge",
        "Age of the oldest document that may not exist.",
    ),
    "invouno_meter_library_revision": (
        "gauge",
        "Revision of the function library that Redis has, 0 for none.",
    ),
    "invouno_dirty_accounts": ("gauge", "Accounts whose counters lack what the ledger was told."),
    "invouno_dirty_oldest_age_seconds": ("gauge", "How long the first of them has waited."),
}


class Sample(msgspec.Struct, frozen=True):
    name: str
    value: float
    label: str = ""
    """Such as shard="3"."""


async def read_metrics(stores: Stores) -> str:
    """A store that is away has its own sample, and those that come from it are absent."""
    samples: list[Sample] = []
    for name, reading in (("redis", _read_redis(stores.redis)), ("postgres", _read_ledger(stores))):
        try:
            found = await reading
        except STORE_ERRORS:
            found = None
        samples.append(Sample("invouno_store_up", 0 if found is None else 1, f'store="{name}"'))
        samples += found or []
    return exposition(samples)


def exposition(samples: Iterable[Sample]) -> str:
    """https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    lines: list[str] = []
    for name, of_name in by_name.items():
        kind, meaning = METRICS[name]
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{f'{{{one.label}}}' if one.label else ''} {one.value:.15g}" for one in of_name]
    return "\n".join([*lines, ""])


async def _read_redis(redis: Redis) -> list[Sample]:
    now_ms = (await redis_clock(redis)).timestamp() * 1000
    shards = [await _read_shard(redis, shard, now_ms) for shard in range(METER_SHARDS)]
    ages = [
        sample.value
        for samples in shards
        for sample in samples
        if sample.name == "invouno_meter_stream_oldest_age_seconds"
    ]
    return [
        Sample("invouno_meter_library_revision", await revision_of(redis) or 0),
        Sample("invouno_ledger_lag_seconds", max(ages)),
        *(sample for samples in shards for sample in samples),
    ]


async def _read_shard(redis: Redis, shard: int, now_ms: float) -> list[Sample]:
    length, added, oldest_ms = await _read_stream(redis, meter_stream(shard))
    reserved = await send(redis, "ZRANGE", meter_reserved(shard), 0, 0, "WITHSCORES")
    reserved_ms = float(reserved[1]) if reserved else None
    label = f'shard="{shard}"'
    return [
        Sample("invouno_meter_stream_oldest_age_seconds", _age_s(now_ms, oldest_ms), label),
        Sample("invouno_meter_stream_entries", length, label),
        Sample("invouno_meter_handed_over_total", added - length, label),
        Sample("invouno_meter_poison_entries", await send(redis, "XLEN", poison_stream(shard)), label),
        Sample("invouno_meter_reservation_oldest_age_seconds", _age_s(now_ms, reserved_ms), label),
    ]


async def _read_stream(redis: Redis, key: str) -> tuple[int, int, float | None]:
    """How many entries it has, how many it ever had, and when the first of those that it has came, in ms."""
    try:
        told = await send(redis, "XINFO STREAM", key)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return 0, 0, None
    first = told["first-entry"]
    return told["length"], told["entries-added"], float(first[0].partition(b"-")[0]) if first else None


def _age_s(now_ms: float, then_ms: float | None) -> float:
    return 0 if then_ms is None else max(0, now_ms - then_ms) / 1000


async def _read_ledger(stores: Stores) -> list[Sample]:
    async with acquired(stores.pool) as connection:
        count, since = await select_dirty_since(connection)
    age_s = 0 if since is None else max(0, (datetime.now(UTC) - since).total_seconds())
    return [Sample("invouno_dirty_accounts", count), Sample("invouno_dirty_oldest_age_seconds", age_s)]
