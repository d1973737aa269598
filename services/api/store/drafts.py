"""Drafts that follow their client, some at a time: when it was renamed, and before it is deleted."""

from collections.abc import Sequence

import msgspec

from shared.postgres import Connection


class Renamed(msgspec.Struct, frozen=True):
    """A client whose drafts have yet to follow, those behind the document ``after_id``."""

    account_id: str
    client_id: str
    after_id: str


async def select_renamed(connection: Connection) -> Renamed | None:
    """The one whose turn it is."""
    row = await connection.fetchrow(
        "select r.account_id, r.client_id, r.after_id from api.renamed_clients r order by r.turn_at limit 1"
    )
    return None if row is None else Renamed(*row)


async def select_after_id(connection: Connection, renamed: Renamed) -> str | None:
    """As it is by now; None where all of them have followed."""
    return await connection.fetchval(
        "select after_id from api.renamed_clients where account_id = $1 and client_id = $2",
        renamed.account_id, renamed.client_id,
    )  # fmt: skip


async def update_renamed(connection: Connection, renamed: Renamed, after_id: str) -> None:
    """Go on behind this document when the others have had their turn."""
    await connection.execute(
        """
        update api.renamed_clients set after_id = $3, turn_at = clock_timestamp()
        where account_id = $1 and client_id = $2
        """,
        renamed.account_id, renamed.client_id, after_id,
    )  # fmt: skip


async def delete_renamed(connection: Connection, renamed: Renamed) -> None:
    await connection.execute(
        "delete from api.renamed_clients where account_id = $1 and client_id = $2",
        renamed.account_id, renamed.client_id,
    )  # fmt: skip


async def write_client(
    connection: Connection, account_id: str, client_id: str, profile: str, *, after_id: str, limit: int
) -> str | None:
    """Write the profile of a client that is locked into the drafts among so many of its documents.

    The last one's id, None when there are none behind these.
    """
    looked_at = await select_following(
        connection, account_id, client_id, profile, after_id=after_id, limit=limit
    )
    behind = [document_id for document_id, is_behind in looked_at if is_behind]
    if behind:
        await update_clients(connection, account_id, behind, profile)
    return looked_at[-1][0] if len(looked_at) == limit else None


async def select_following(
    connection: Connection, account_id: str, client_id: str, profile: str, *, after_id: str, limit: int
) -> list[tuple[str, bool]]:
    """The client's next documents by their ids, and whether each is a draft that has another profile."""
    rows = await connection.fetch(
        """
        select d.id, d.status = 'draft' and d.client::text <> $3::json::text from api.documents d
        where d.account_id = $1 and d.client_id = $2 and d.id > $4
        order by d.id limit $5
        """,
        account_id, client_id, profile, after_id, limit,
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


async def update_clients(
    connection: Connection, account_id: str, document_ids: Sequence[str], profile: str
) -> None:
    """Of those that are drafts still."""
    await connection.execute(
        """
        update api.documents set client = $3 where account_id = $1 and id = any($2::text[]) and status = 'draft'
        """,
        account_id, document_ids, profile,
    )  # fmt: skip
