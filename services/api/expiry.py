"""What leaves by age: idempotency records after their 24 hours, a bounded batch at a time."""

import asyncio
import random
from datetime import UTC, datetime

import asyncpg
import structlog

from services.api.idempotency import KEPT
from services.api.store.idempotency import delete_expired
from shared.postgres import Pool, acquired

EVERY_S = 600.0
BATCH = 5_000

log = structlog.get_logger()


async def expire_idempotency(pool: Pool) -> None:
    """Run for as long as the gateway lives; gateways take turns by chance, and deleting twice harms nobody."""
    while True:
        await asyncio.sleep(EVERY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads gateways, guards nothing
        try:
            await _expire(pool)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("expiry_postponed", cause=str(error))


async def _expire(pool: Pool) -> None:
    deleted = BATCH
    while deleted == BATCH:
        async with acquired(pool) as connection:
            deleted = await delete_expired(connection, before=datetime.now(UTC) - KEPT, limit=BATCH)
