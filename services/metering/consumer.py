"""The background work: one owner per shard drains its stream into the ledger, and the function library stays loaded.

Several metering processes may run; a shard's owner holds an advisory lock, and the others stand by.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from services.metering.dirty import clean_all
from services.metering.events import expire_events
from services.metering.handover import BATCH_MAX, hand_over
from services.metering.ledger import FENCES_PURGED, delete_fences, try_own_shard
from services.metering.library import Library, ensure_library
from services.metering.stores import STORE_ERRORS, Outage, Stores, send
from shared.messages import METER_SHARDS, meter_stream
from shared.postgres import Connection, acquired
from shared.tasks import stop_tasks

# How long a read waits for an entry; shorter than the patient client's timeout.
BLOCK_MS = 5_000
# After a hand-over, so that a busy stream costs few transactions; the ledger is this much behind.
LINGER_S = 0.2
STAND_BY_S = 2.0
RETRY_S = 1.0
LIBRARY_CHECK_S = 2.0
EVENTS_CHECK_S = 1.0
# A producer's record lives for a day, so an entry that comes again after this came from a very old backup.
FENCE_KEPT = timedelta(days=30)
PURGE_EVERY_S = 3600.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def in_background(
    stores: Stores, library: Library, *, linger_s: float = LINGER_S
) -> AsyncGenerator[None]:
    """Do the background work within the context."""
    outage = Outage()
    works = {
        "library": partial(_keep_library, stores, library, outage),
        "events": partial(_keep_events, stores, outage),
    }
    for shard in range(METER_SHARDS):
        works[_name(shard)] = partial(drain_shard, stores, shard, outage, linger_s=linger_s)
    tasks = {asyncio.create_task(_persist(name, outage, work)) for name, work in works.items()}
    try:
        yield
    finally:
        await stop_tasks(tasks)


async def _persist(name: str, outage: Outage, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work again and again; a store that is away is waited for, a defect is logged."""
    me = asyncio.current_task()
    while (
        me is None or not me.cancelling()
    ):  # A store's client may answer a cancellation with an error of its own.
        try:
            await work()
        except STORE_ERRORS as error:
            outage.began(name, error)
            await asyncio.sleep(RETRY_S)
        except Exception:
            if me is None or not me.cancelling():
                log.exception("background work failed", task=name)
            await asyncio.sleep(RETRY_S)


async def _keep_library(stores: Stores, library: Library, outage: Outage) -> None:
    if await ensure_library(stores.redis, library):
        log.info("function library loaded", revision=library.revision)
    outage.ended("library")
    await asyncio.sleep(LIBRARY_CHECK_S)


async def _keep_events(stores: Stores, outage: Outage) -> None:
    """Finish what events have begun, where a crash or a Redis that was away has kept them from it."""
    async with acquired(stores.pool) as connection:
        await expire_events(connection, datetime.now(UTC))
    await clean_all(stores)
    outage.ended("events")
    await asyncio.sleep(EVENTS_CHECK_S)


async def drain_shard(stores: Stores, shard: int, outage: Outage, *, linger_s: float = LINGER_S) -> None:
    """Own the shard and hand its stream over until a store fails; return after a while if another process owns it."""
    async with acquired(stores.pool) as connection:
        if await try_own_shard(connection, shard):
            await _drain_as_owner(connection, stores, shard, outage, linger_s=linger_s)
            return
    outage.ended(_name(shard))
    await asyncio.sleep(STAND_BY_S)


async def _drain_as_owner(
    connection: Connection, stores: Stores, shard: int, outage: Outage, *, linger_s: float
) -> None:
    purge_at = 0.0
    while not connection.is_closed():
        count = await hand_over(connection, stores.redis, shard) if await _entry_waits(stores, shard) else 0
        if count < BATCH_MAX and time.monotonic() >= purge_at:
            purged = await delete_fences(connection, shard, before=datetime.now(UTC) - FENCE_KEPT)
            purge_at = time.monotonic() + (PURGE_EVERY_S if purged < FENCES_PURGED else 0)
        outage.ended(_name(shard))
        if 0 < count < BATCH_MAX:
            await asyncio.sleep(linger_s)


async def _entry_waits(stores: Stores, shard: int) -> bool:
    """True as soon as the stream has an entry; False after BLOCK_MS without one."""
    found = await send(
        stores.patient, "XREAD", "COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", meter_stream(shard), "0"
    )
    return bool(found)


def _name(shard: int) -> str:
    return f"shard {shard}"
