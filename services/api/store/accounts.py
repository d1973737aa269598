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
        select id, name, currency, template, time_zone, profile, generation, created_at
        from api.accounts where id = $1
        """,
        account_id,
    )
    return None if row is None else AccountRow(*row)


async def select_accounts(connection: Connection) -> list[AccountRow]:
    rows = await connection.fetch(
        """
        select id, name, currency, template, time_zone, profile, generation, created_at
        from api.accounts order by id
        """
    )
    return [AccountRow(*row) for row in rows]


async def bump_generation(connection: Connection, account_id: str) -> int:
    """The account's next generation: gateways that hold an older one load their key record anew."""
    return await connection.fetchval(
        "update api.accounts set generation = generation + 1 where id = $1 returning generation", account_id
    )
