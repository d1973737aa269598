"""What leaves by age: idempotency records after their 24 hours, a bounded batch at a time."""

from datetime import UTC, datetime
from functools import partial

from services.api.idempotency import KEPT
from services.api.recurring import recur
from services.api.store.idempotency import delete_expired
from shared.postgres import Pool, acquired

EVERY_S = 600.0
BATCH = 5_000


async def expire_idempotency(pool: Pool) -> None:
    """Gateways take turns by chance, and deleting twice harms nobody."""
    await recur("expiry", partial(_expire, pool), every_s=EVERY_S)


async def _expire(pool: Pool) -> None:
    deleted = BATCH
    while deleted == BATCH:
        async with acquired(pool) as connection:
            deleted = await delete_expired(connection, before=datetime.now(UTC) - KEPT, limit=BATCH)
