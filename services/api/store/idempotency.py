"""Idempotency records, written in the transaction of the change that they answer for; kept 24 hours."""

from datetime import datetime

import msgspec

from shared.postgres import Connection


class Stored(msgspec.Struct, frozen=True):
    fingerprint: bytes
    status: int
    body: bytes


async def try_lock(connection: Connection, account_id: str, key: str) -> bool:
    """Take the key for this transaction, or say at once that another holds it."""
    return await connection.fetchval(
        "select pg_try_advisory_xact_lock(hashtextextended($1, 0))", f"idempotency {account_id} {key}"
    )


async def select_stored(
    connection: Connection, account_id: str, key: str, *, since: datetime
) -> Stored | None:
    row = await connection.fetchrow(
        """
        select fingerprint, status, body from api.idempotency
        where account_id = $1 and key = $2 and created_at > $3
        """,
        account_id, key, since,
    )  # fmt: skip
    return None if row is None else Stored(*row)


async def upsert_stored(
    connection: Connection, account_id: str, key: str, stored: Stored, *, now: datetime
) -> None:
    """Write the record, over one that has expired."""
    await connection.execute(
        """
        insert into api.idempotency (account_id, key, fingerprint, status, body, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (account_id, key) do update set
            fingerprint = excluded.fingerprint, status = excluded.status,
            body = excluded.body, created_at = excluded.created_at
        """,
        account_id, key, stored.fingerprint, stored.status, stored.body, now,
    )  # fmt: skip


async def delete_expired(connection: Connection, *, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` expired records; the number deleted."""
    status = await connection.execute(
        """
        delete from api.idempotency where (account_id, key) in (
            select account_id, key from api.idempotency where created_at < $1 limit $2
        )
        """,
        before, limit,
    )  # fmt: skip
    return int(status.rpartition(" ")[2])
