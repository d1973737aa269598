"""Drafts of renamed clients: where a client has many, they are found by its new name a batch after the other."""

from functools import partial

from services.api.recurring import recur
from services.api.store.clients import select_client_for_update
from services.api.store.drafts import (
    Renamed,
    delete_renamed,
    select_after_id,
    select_renamed,
    update_renamed,
    write_client,
)
from shared.postgres import Connection, Pool, acquired

EVERY_S = 2.0
# Of a client's documents: half a second on a machine with eight times as much to do as it can, if all are drafts.
BATCH = 500


async def follow_renames(pool: Pool) -> None:
    """A client is seen to by one gateway at a time."""
    await recur("renaming", partial(_follow_all, pool), every_s=EVERY_S)


async def _follow_all(pool: Pool) -> None:
    while await follow_rename(pool, limit=BATCH):
        pass


async def follow_rename(pool: Pool, *, limit: int) -> bool:
    """A batch of one client's, from where the one before has ended; whether there was anything to do."""
    async with acquired(pool) as connection, connection.transaction():
        renamed = await select_renamed(connection)
        if renamed is not None:
            await _follow(connection, renamed, limit)
    return renamed is not None


async def _follow(connection: Connection, renamed: Renamed, limit: int) -> None:
    """The client is locked first: nobody else changes, deletes or sees to it meanwhile."""
    client = await select_client_for_update(connection, renamed.account_id, renamed.client_id)
    after_id = await select_after_id(connection, renamed)
    last_id = None
    if client is not None and after_id is not None:
        last_id = await write_client(
            connection, renamed.account_id, client.id, client.profile, after_id=after_id, limit=limit
        )
    if last_id is None:
        await delete_renamed(connection, renamed)
    else:
        await update_renamed(connection, renamed, last_id)
