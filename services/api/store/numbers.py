"""Gapless numbering: a sequence row is locked until its taker commits, so a rolled-back call takes nothing."""

from datetime import datetime

from shared.postgres import Connection


async def take_number(connection: Connection, account_id: str, kind: str, year: int) -> int:
    """The next of the sequence, in the caller's transaction."""
    return await connection.fetchval(
        """
        insert into api.number_sequences as s (account_id, type, year, last) values ($1, $2, $3, 1)
        on conflict (account_id, type, year) do update set last = s.last + 1
        returning last
        """,
        account_id, kind, year,
    )  # fmt: skip


async def insert_deleted_number(
    connection: Connection, account_id: str, *, number: str, kind: str, document_id: str, now: datetime
) -> None:
    await connection.execute(
        """
        insert into api.deleted_numbers (account_id, number, type, document_id, deleted_at)
        values ($1, $2, $3, $4, $5)
        """,
        account_id, number, kind, document_id, now,
    )  # fmt: skip
