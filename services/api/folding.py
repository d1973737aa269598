"""Folding: the rows that each backend counts in are added up, so that a total stays the sum of a few."""

from datetime import UTC, datetime, timedelta
from functools import partial

from services.api.recurring import recur
from services.api.store.counts import (
    fold_client_counts,
    fold_document_counts,
    fold_due_counts,
    mark_lapsed,
    try_lock_folding,
)
from shared.postgres import Pool, acquired

EVERY_S = 2.0
BATCH = 2_000
# No time zone is so far behind that what was due before is not overdue everywhere.
PASSED_AFTER = timedelta(days=2)


async def fold_counts(pool: Pool) -> None:
    """All gateways try, and one at a time does it."""
    await recur("folding", partial(fold, pool), every_s=EVERY_S)


async def fold(pool: Pool) -> None:
    """A batch of each kind, unless somebody else folds."""
    passed = datetime.now(UTC).date() - PASSED_AFTER
    async with acquired(pool) as connection, connection.transaction():
        if await try_lock_folding(connection):
            await fold_document_counts(connection, limit=BATCH)
            await mark_lapsed(connection, passed=passed, limit=BATCH)
            await fold_due_counts(connection, passed=passed, limit=BATCH)
            await fold_client_counts(connection, limit=BATCH)
