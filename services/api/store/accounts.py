"""Accounts: whose documents they are, and what a document says where its caller is silent."""

from datetime import datetime

import msgspec

from shared.postgres import Connection


class AccountRow(msgspec.Struct, frozen=True):
    """``profile`` is JSON text: the seller as printed."""

    id: str
    name: str
    currency: str
    template: str
    time_zone: str
    profile: str
    generation: int
    created_at: datetime
    updated_at: datetime


async def insert_account(
    connection: Connection,
    *,
    account_id: str,
    name: str,
    currency: str,
    template: str,
    time_zone: str,
    profile: str,
) -> None:
    await connection.execute(
        """
        insert into api.accounts (id, name, currency, template, time_zone, profile)
        values ($1, $2, $3, $4, $5, $6)
        """,
        account_id, name, currency, template, time_zone, profile,
    )  # fmt: skip


async def select_account(connection: Connection, account_id: str) -> AccountRow | None:
    row = await connection.fetchrow(
        """
        select id, name, currency, template, time_zone, profile, generation, created_at,
            coalesce(updated_at, created_at)
        from api.accounts where id = $1
        """,
        account_id,
    )
    return None if row is None else AccountRow(*row)


async def select_profile(connection: Connection, account_id: str) -> str:
    return await connection.fetchval("select a.profile from api.accounts a where a.id = $1", account_id)


async def select_account_for_update(connection: Connection, account_id: str) -> AccountRow | None:
    """The account, locked until the transaction ends."""
    row = await connection.fetchrow(
        """
        select id, name, currency, template, time_zone, profile, generation, created_at,
            coalesce(updated_at, created_at)
        from api.accounts where id = $1 for update
        """,
        account_id,
    )
    return None if row is None else AccountRow(*row)


async def update_account(connection: Connection, row: AccountRow) -> int:
    """Write all that its owner decides; the generation that is returned makes gateways load their key record anew."""
    return await connection.fetchval(
        """
        update api.accounts set
            name = $2, currency = $3, template = $4, time_zone = $5, profile = $6, updated_at = $7,
            generation = generation + 1
        where id = $1 returning generation
        """,
        row.id, row.name, row.currency, row.template, row.time_zone, row.profile, row.updated_at,
    )  # fmt: skip


async def select_accounts(connection: Connection) -> list[AccountRow]:
    rows = await connection.fetch(
        """
        select id, name, currency, template, time_zone, profile, generation, created_at,
            coalesce(updated_at, created_at)
        from api.accounts order by id
        """
    )
    return [AccountRow(*row) for row in rows]


async def bump_generation(connection: Connection, account_id: str) -> int:
    """The account's next generation: gateways that hold an older one load their key record anew."""
    return await connection.fetchval(
        "update api.accounts set generation = generation + 1 where id = $1 returning generation", account_id
    )
