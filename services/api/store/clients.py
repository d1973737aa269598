"""Clients in PostgreSQL, one statement a function; profiles travel as JSON text."""

from datetime import datetime

import msgspec

from shared.postgres import Connection


class ClientRow(msgspec.Struct, frozen=True):
    """``metadata`` is None where there is none."""

    id: str
    profile: str
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None
    metadata: str | None = None


async def insert_client(connection: Connection, account_id: str, row: ClientRow) -> None:
    await connection.execute(
        """
        insert into api.clients (account_id, id, profile, created_at, updated_at, external_id, metadata)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        account_id, row.id, row.profile, row.created_at, row.updated_at, row.external_id, row.metadata,
    )  # fmt: skip


async def select_client(connection: Connection, account_id: str, client_id: str) -> ClientRow | None:
    row = await connection.fetchrow(
        """
        select id, profile, created_at, updated_at, external_id, metadata from api.clients
        where account_id = $1 and id = $2
        """,
        account_id, client_id,
    )  # fmt: skip
    return None if row is None else ClientRow(*row)


async def select_client_for_update(
    connection: Connection, account_id: str, client_id: str
) -> ClientRow | None:
    row = await connection.fetchrow(
        """
        select id, profile, created_at, updated_at, external_id, metadata from api.clients
        where account_id = $1 and id = $2 for update
        """,
        account_id, client_id,
    )  # fmt: skip
    return None if row is None else ClientRow(*row)


async def select_id(connection: Connection, account_id: str, external_id: str) -> str | None:
    return await connection.fetchval(
        "select id from api.clients where account_id = $1 and external_id = $2", account_id, external_id
    )


async def select_id_for_update(connection: Connection, account_id: str, external_id: str) -> str | None:
    """Of the client that keeps this external id until the transaction ends."""
    return await connection.fetchval(
        "select id from api.clients where account_id = $1 and external_id = $2 for update",
        account_id,
        external_id,
    )


async def update_client(connection: Connection, account_id: str, row: ClientRow) -> None:
    await connection.execute(
        """
        update api.clients set profile = $3, updated_at = $4, external_id = $5, metadata = $6
        where account_id = $1 and id = $2
        """,
        account_id, row.id, row.profile, row.updated_at, row.external_id, row.metadata,
    )  # fmt: skip


async def delete_client(connection: Connection, account_id: str, client_id: str) -> bool:
    deleted = await connection.fetchval(
        "delete from api.clients where account_id = $1 and id = $2 returning true", account_id, client_id
    )
    return deleted is True


async def select_clients(
    connection: Connection, account_id: str, *, below_id: str | None, limit: int, offset: int
) -> list[ClientRow]:
    """Newest first; ``below_id`` is where a cursor stands."""
    rows = await connection.fetch(
        """
        select id, profile, created_at, updated_at, external_id, metadata from api.clients
        where account_id = $1 and id < coalesce($2::text, '~')
        order by id desc limit $3 offset $4
        """,
        account_id, below_id, limit, offset,
    )  # fmt: skip
    return [ClientRow(*row) for row in rows]


async def count_clients(connection: Connection, account_id: str) -> int:
    return await connection.fetchval(
        "select coalesce(sum(amount), 0)::bigint from api.client_counts where account_id = $1", account_id
    )
