"""How many documents an account has created, also those that it has deleted since."""

from datetime import datetime, timedelta

from shared.postgres import Connection


async def count_created(
    connection: Connection, account_id: str, start: datetime, end: datetime, *, margin: timedelta
) -> tuple[int, int]:
    """Those well within the two moments, and those that may be, by a margin for clocks that differ."""
    row = await connection.fetchrow(
        """
        select count(*) filter (where created_at >= $2::timestamptz + $4::interval
                                      and created_at < $3::timestamptz - $4::interval) as least,
               count(*) as most
        from (
            select account_id, created_at from api.documents
            union all
            select account_id, created_at from api.deleted_documents
        ) as created
        where account_id = $1 and created_at >= $2::timestamptz - $4::interval
              and created_at < $3::timestamptz + $4::interval
        """,
        account_id,
        start,
        end,
        margin,
    )
    return (row[0], row[1]) if row else (0, 0)
