"""Deleted documents whose PDFs are to be deleted once more; the database writes a row with each deletion."""

from datetime import timedelta

from shared.postgres import Connection


async def select_due(connection: Connection, *, after: timedelta, limit: int) -> list[tuple[str, str]]:
    """Account and document of those deleted longer ago than ``after``, the oldest first."""
    rows = await connection.fetch(
        """
        select account_id, document_id from api.pdf_deletions where deleted_at < now() - $1::interval
        order by deleted_at limit $2
        """,
        after, limit,
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


async def delete_due(connection: Connection, account_id: str, document_id: str) -> None:
    await connection.execute(
        "delete from api.pdf_deletions where account_id = $1 and document_id = $2", account_id, document_id
    )
