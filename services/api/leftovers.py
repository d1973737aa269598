"""What deletions leave behind: PDFs written after their document had gone, and logos that nothing shows any more.

Every gateway looks, now and then and a batch at a time; doing it twice harms nobody, and what fails is done next time.
"""

from datetime import timedelta
from functools import partial

from obstore.store import ObjectStore

from services.api.logos import logo_path
from services.api.pdf import JOB_EXPIRES_S, document_folder
from services.api.recurring import recur
from services.api.store import logos, pdf_deletions
from services.api.store.logos import Replaced
from shared import objects
from shared.postgres import Pool, acquired
from shared.queue import RENDER_RETAKEN_AFTER_S, RENDER_TIMEOUT_S

EVERY_S = 60.0
BATCH = 100
# What a transaction may take, and the clocks of database and gateways differ.
MARGIN = timedelta(minutes=2)
# By then nobody who read the account before still prints or sends anything under its old logo.
LOGO_AFTER = timedelta(minutes=15)
# A gateway whose clock is slow has sent a document before the logo came, by its own time.
SENT_EARLIER_MAX = timedelta(hours=1)
# Beyond so many documents that were changed under a logo it is kept without a look.
LOOKED_AT_MAX = 1_000


def pdfs_written_within(wait_s: float) -> timedelta:
    """How long after a deletion a job may still write the document's PDF, if callers wait for ``wait_s``.

    One who read the document before asks until they give up, and the job that they asked for last is printed.
    """
    return timedelta(seconds=wait_s + JOB_EXPIRES_S + RENDER_RETAKEN_AFTER_S + RENDER_TIMEOUT_S) + MARGIN


async def sweep_leftovers(pool: Pool, store: ObjectStore, *, pdf_wait_s: float) -> None:
    """Every gateway does."""
    await recur("leftovers", partial(_sweep, pool, store, pdf_wait_s), every_s=EVERY_S)


async def _sweep(pool: Pool, store: ObjectStore, pdf_wait_s: float) -> None:
    await sweep_pdfs(pool, store, after=pdfs_written_within(pdf_wait_s))
    await sweep_logos(pool, store, after=LOGO_AFTER)


async def sweep_pdfs(pool: Pool, store: ObjectStore, *, after: timedelta) -> None:
    """Delete once more what deleted documents had; raises what store and database do, and goes on next time."""
    count = BATCH
    while count == BATCH:
        async with acquired(pool) as connection:
            due = await pdf_deletions.select_due(connection, after=after, limit=BATCH)
        for account_id, document_id in due:
            await objects.delete_under(store, document_folder(account_id, document_id))
            async with acquired(pool) as connection:
                await pdf_deletions.delete_due(connection, account_id, document_id)
        count = len(due)


async def sweep_logos(pool: Pool, store: ObjectStore, *, after: timedelta) -> None:
    """Delete replaced logos that nothing was sent under; raises what store and database do."""
    count = BATCH
    while count == BATCH:
        async with acquired(pool) as connection:
            replaced = await logos.select_replaced(connection, after=after, limit=BATCH)
        for logo in replaced:
            await _sweep_logo(pool, store, logo)
        count = len(replaced)


async def _sweep_logo(pool: Pool, store: ObjectStore, logo: Replaced) -> None:
    since = logo.created_at - SENT_EARLIER_MAX
    async with acquired(pool) as connection:
        if await logos.may_be_shown(connection, logo, since=since, looked_at_max=LOOKED_AT_MAX):
            await logos.keep_logo(connection, logo)
            return
    await objects.delete_each(store, [logo_path(logo.account_id, logo.sha256)])
    async with acquired(pool) as connection:
        await logos.delete_logo(connection, logo)
