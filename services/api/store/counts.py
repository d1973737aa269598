"""How many documents and clients there are, in rows of each backend's own and their sum, and how many there once were.

Folding adds the rows up, some at a time: what a backend is changing right now waits for the next time.
"""

from datetime import date, datetime, timedelta

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


async def try_lock_folding(connection: Connection) -> bool:
    """One at a time folds, until its transaction ends."""
    return await connection.fetchval("select pg_try_advisory_xact_lock(hashtextextended('fold counts', 0))")


async def fold_document_counts(connection: Connection, *, limit: int) -> int:
    """The number of rows that were folded."""
    status = await connection.execute(
        """
        with picked as (
            select c.ctid as place from api.document_counts c where c.backend <> 0 limit $1 for update skip locked
        ), moved as (
            delete from api.document_counts c using picked p where c.ctid = p.place
            returning c.account_id, c.type, c.status, c.amount
        )
        insert into api.document_counts as c (account_id, type, status, backend, amount)
        select m.account_id, m.type, m.status, 0, sum(m.amount) from moved m group by m.account_id, m.type, m.status
        on conflict on constraint document_counts_pkey do update set amount = c.amount + excluded.amount
        """,
        limit,
    )
    return _affected(status)


async def mark_lapsed(connection: Connection, *, passed: date, limit: int) -> None:
    """Mark documents that were sent and due before ``passed``, of accounts whose counts tell of such."""
    await connection.execute(
        """
        with owing as (
            select distinct c.account_id from api.due_counts c
            where c.backend = 0 and c.due_date > '-infinity' and c.due_date < $1
        ), picked as (
            select d.account_id, d.id from owing o cross join lateral (
                select d.account_id, d.id from api.documents d
                where d.account_id = o.account_id and d.status = 'sent' and not d.lapsed and d.due_date < $1
                order by d.due_date limit $2 for update skip locked
            ) d limit $2
        )
        update api.documents d set lapsed = true from picked p
        where d.account_id = p.account_id and d.id = p.id
        """,
        passed,
        limit,
    )


async def fold_due_counts(connection: Connection, *, passed: date, limit: int) -> int:
    """What was due before ``passed`` becomes due at -infinity once its account's documents are marked as lapsed.

    The number of rows that are left of those folded.
    """
    status = await connection.execute(
        """
        with picked as (
            select c.ctid as place from api.due_counts c
            where c.backend <> 0 or c.backend = 0 and c.due_date > '-infinity' and c.due_date < $1 and not exists (
                select from api.documents d where d.account_id = c.account_id
                    and d.status = 'sent' and not d.lapsed and d.due_date < $1
            )
            limit $2 for update skip locked
        ), moved as (
            delete from api.due_counts c using picked p where c.ctid = p.place
            returning c.account_id, c.type, case when c.backend = 0 then '-infinity' else c.due_date end as due_date,
                c.amount
        )
        insert into api.due_counts as c (account_id, type, due_date, backend, amount)
        select m.account_id, m.type, m.due_date, 0, sum(m.amount) from moved m
        group by m.account_id, m.type, m.due_date
        on conflict on constraint due_counts_pkey do update set amount = c.amount + excluded.amount
        """,
        passed,
        limit,
    )
    return _affected(status)


async def fold_client_counts(connection: Connection, *, limit: int) -> int:
    status = await connection.execute(
        """
        with picked as (
            select c.ctid as place from api.client_counts c where c.backend <> 0 limit $1 for update skip locked
        ), moved as (
            delete from api.client_counts c using picked p where c.ctid = p.place returning c.account_id, c.amount
        )
        insert into api.client_counts as c (account_id, backend, amount)
        select m.account_id, 0, sum(m.amount) from moved m group by m.account_id
        on conflict on constraint client_counts_pkey do update set amount = c.amount + excluded.amount
        """,
        limit,
    )
    return _affected(status)


def _affected(status: str) -> int:
    return int(status.rpartition(" ")[2])
