"""API keys and the accounts behind them; a key itself is never stored, only its SHA-256."""

from datetime import datetime

import msgspec

from shared.postgres import Connection


class Principal(msgspec.Struct, frozen=True):
    """Who calls: a live key, its account, and the account's defaults, as of ``generation``."""

    key_id: str
    account_id: str
    scopes: frozenset[str]
    expires_at: datetime | None
    generation: int
    currency: str
    template: str
    time_zone: str


class KeyRow(msgspec.Struct, frozen=True):
    id: str
    account_id: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def select_principal(connection: Connection, key_hash: bytes) -> Principal | None:
    """The key's principal unless it is unknown, revoked or expired."""
    row = await connection.fetchrow(
        """
        select k.id, k.account_id, k.scopes, k.expires_at, a.generation, a.currency, a.template, a.time_zone
        from api.keys k join api.accounts a on a.id = k.account_id
        where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        """,
        key_hash,
    )
    return None if row is None else Principal(row[0], row[1], frozenset(row[2]), *row[3:])


async def insert_key(
    connection: Connection,
    *,
    key_id: str,
    account_id: str,
    key_hash: bytes,
    scopes: list[str],
    expires_at: datetime | None,
) -> None:
    await connection.execute(
        "insert into api.keys (id, account_id, hash, scopes, expires_at) values ($1, $2, $3, $4, $5)",
        key_id, account_id, key_hash, scopes, expires_at,
    )  # fmt: skip


async def select_keys(connection: Connection, account_id: str) -> list[KeyRow]:
    rows = await connection.fetch(
        """
        select id, account_id, scopes, created_at, expires_at, revoked_at
        from api.keys where account_id = $1 order by id
        """,
        account_id,
    )
    return [KeyRow(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]


async def revoke_key(connection: Connection, key_id: str) -> str | None:
    """The account whose key was revoked, or None for a key that is unknown or revoked already."""
    return await connection.fetchval(
        "update api.keys set revoked_at = now() where id = $1 and revoked_at is null returning account_id",
        key_id,
    )
