"""The sweep: reservations that nobody has settled or released, because their gateway died or lost a connection.

Every gateway sweeps, and sweeping twice harms nobody: the database decides each document's fate once, and the meter
takes each reservation's end once.
"""

import asyncio
import random
import re
from typing import Any

import asyncpg
import msgspec
import structlog
from redis.exceptions import RedisError

from services.api.admission import Admission
from services.api.meter import Meter
from services.api.store.ids import ids_of
from services.api.store.reservations import resolve_block, resolve_document
from shared.errors import Problem
from shared.messages import METER_SHARDS, meter_reserved
from shared.postgres import Connection, Pool, acquired

EVERY_S = 5.0
BATCH = 100  # of one shard and sweep
_MEMBER = re.compile(rb"([A-Za-z0-9_-]{1,64}) (\d{1,15}) ([A-Za-z0-9_-]{1,64})(?::(\d{1,7}))?")

log = structlog.get_logger()


class Reservation(msgspec.Struct, frozen=True):
    """``name`` is a document's id, or with a ``size`` that of a block of so many documents."""

    account_id: str
    period_start_s: int
    name: str
    size: int = 0


async def sweep_reservations(pool: Pool, meter: Meter, admission: Admission, *, kept_s: float) -> None:
    """Run for as long as the gateway lives; ``kept_s`` is how long a create may take before it is asked after."""
    while True:
        await asyncio.sleep(min(EVERY_S, kept_s) * random.uniform(0.5, 1))  # noqa: S311 - spreads gateways
        try:
            for reservation in await overdue(meter, kept_s=kept_s):
                await resolve(pool, admission, reservation)
        except (RedisError, OSError, Problem, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("sweep_postponed", cause=f"{type(error).__name__}: {error}")


async def overdue(meter: Meter, *, kept_s: float) -> list[Reservation]:
    """The oldest of each shard that is not away, by the meter's own clock."""
    shards = [shard for shard in range(METER_SHARDS) if not meter.is_away(shard)]
    found = await asyncio.gather(*(_overdue_of(meter, shard, kept_s=kept_s) for shard in shards))
    return [reservation for of_shard in found for reservation in of_shard]


async def _overdue_of(meter: Meter, shard: int, *, kept_s: float) -> list[Reservation]:
    pipeline = meter.node(shard).pipeline(transaction=False)
    pipeline.time()
    pipeline.zrange(meter_reserved(shard), 0, BATCH - 1, withscores=True)
    (seconds, _), members = await pipeline.execute()
    before_ms = (seconds - kept_s) * 1000
    found = (_read(member) for member, at_ms in members if at_ms < before_ms)
    return [reservation for reservation in found if reservation]


def _read(member: Any) -> Reservation | None:
    match = _MEMBER.fullmatch(member)
    if match is None:
        log.error("reservation_unreadable", member=member)
        return None
    return Reservation(match[1].decode(), int(match[2]), match[3].decode(), int(match[4] or 0))


async def resolve(pool: Pool, admission: Admission, reservation: Reservation) -> None:
    account_id, name, size = reservation.account_id, reservation.name, reservation.size
    period_start_s = reservation.period_start_s
    async with acquired(pool) as connection:
        missing = await _missing(connection, reservation)
    if missing == 0:
        admission.settle(account_id, name, period_start_s=period_start_s, size=size)
    elif missing is not None:
        await admission.release(
            account_id, period_start_s=period_start_s, reservation=name, documents=missing, size=size
        )


async def _missing(connection: Connection, reservation: Reservation) -> int | None:
    """How many of its documents there are not and never will be; None while they are being created."""
    account_id, name, size = reservation.account_id, reservation.name, reservation.size
    if size:
        created = await resolve_block(connection, account_id, name, ids_of(name, "doc", size))
        return None if created is None else size - created
    return {"created": 0, "busy": None, "void": 1}[await resolve_document(connection, account_id, name)]
