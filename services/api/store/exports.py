"""Exports in PostgreSQL, one statement a function: what an account asked for, and what has become of it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.api.domain.export import Choice, Weight
from services.api.store.documents import DocumentRow, document_row
from shared.postgres import Connection


class ExportRow(msgspec.Struct, frozen=True):
    id: str
    state: str
    format: str
    ordered: str
    total: int
    created_at: datetime
    updated_at: datetime
    done: int = 0
    failed: int = 0
    message: str | None = None
    size_bytes: int | None = None
    expires_at: datetime | None = None


async def lock_exports(connection: Connection, account_id: str) -> None:
    """Let one transaction at a time make exports of the account."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"exports {account_id}")


async def count_unfinished(connection: Connection, account_id: str) -> int:
    return await connection.fetchval(
        "select count(*) from api.exports where state in ('queued', 'running') and account_id = $1",
        account_id,
    )


async def select_choices(
    connection: Connection, account_id: str, document_ids: Sequence[str]
) -> list[Choice]:
    """Those of the documents that there are."""
    rows = await connection.fetch(
        "select d.id, d.number from api.documents d where d.account_id = $1 and d.id = any($2::text[])",
        account_id,
        document_ids,
    )
    return [Choice(*row) for row in rows]


async def insert_export(
    connection: Connection, account_id: str, row: ExportRow, document_ids: Sequence[str]
) -> None:
    await connection.execute(
        """
        insert into api.exports (account_id, id, state, format, ordered, document_ids, total, created_at, updated_at,
            served_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8)
        """,
        account_id, row.id, row.state, row.format, row.ordered, document_ids, row.total, row.created_at,
    )  # fmt: skip


async def select_export(connection: Connection, account_id: str, export_id: str) -> ExportRow | None:
    row = await connection.fetchrow(
        """
        select id, state, format, ordered, total, created_at, updated_at, done, failed, message, size_bytes, expires_at
        from api.exports where account_id = $1 and id = $2
        """,
        account_id, export_id,
    )  # fmt: skip
    return None if row is None else ExportRow(*row)


async def select_exports(
    connection: Connection, account_id: str, *, below_id: str | None, limit: int, offset: int
) -> list[ExportRow]:
    """Newest first; ``below_id`` is where a cursor stands."""
    rows = await connection.fetch(
        """
        select id, state, format, ordered, total, created_at, updated_at, done, failed, message, size_bytes, expires_at
        from api.exports where account_id = $1 and id < coalesce($2::text, '~')
        order by id desc limit $3 offset $4
        """,
        account_id, below_id, limit, offset,
    )  # fmt: skip
    return [ExportRow(*row) for row in rows]


async def count_exports(connection: Connection, account_id: str) -> int:
    return await connection.fetchval("select count(*) from api.exports where account_id = $1", account_id)


async def cancel_export(
    connection: Connection, account_id: str, export_id: str, *, now: datetime
) -> ExportRow | None:
    """The export as cancelled, or None when it is not unfinished."""
    row = await connection.fetchrow(
        """
        update api.exports set state = 'cancelled', updated_at = $3
        where account_id = $1 and id = $2 and state in ('queued', 'running')
        returning
            id, state, format, ordered, total, created_at, updated_at, done, failed, message, size_bytes, expires_at
        """,
        account_id, export_id, now,
    )  # fmt: skip
    return None if row is None else ExportRow(*row)


async def count_printed(
    connection: Connection, account_id: str, export_id: str, *, done: int, failed: int, now: datetime
) -> bool:
    """False when the export is no longer running."""
    counted = await connection.fetchval(
        """
        update api.exports set done = done + $3, failed = failed + $4, updated_at = $5
        where account_id = $1 and id = $2 and state = 'running' returning true
        """,
        account_id, export_id, done, failed, now,
    )  # fmt: skip
    return counted is not None


async def finish_export(
    connection: Connection,
    account_id: str,
    export_id: str,
    *,
    state: str,
    now: datetime,
    size_bytes: int | None = None,
    message: str | None = None,
    expires_at: datetime | None = None,
) -> bool:
    """False when it was no longer running."""
    finished = await connection.fetchval(
        """
        update api.exports set state = $3, size_bytes = $4, message = $5, expires_at = $6, updated_at = $7
        where account_id = $1 and id = $2 and state = 'running' returning true
        """,
        account_id, export_id, state, size_bytes, message, expires_at, now,
    )  # fmt: skip
    return finished is not None


async def select_weights(
    connection: Connection, account_id: str, document_ids: Sequence[str]
) -> dict[str, Weight]:
    """Of the documents that there still are."""
    rows = await connection.fetch(
        """
        select d.id, json_array_length(d.items), octet_length(d.items::text) + octet_length(d.notes),
            coalesce(octet_length(l.png), 0)
        from api.documents d
        join api.accounts a on a.id = d.account_id
        left join api.logos l on l.account_id = d.account_id and l.sha256 = coalesce(d.seller, a.profile) ->> 'logo'
        where d.account_id = $1 and d.id = any($2::text[])
        """,
        account_id, document_ids,
    )  # fmt: skip
    return {row[0]: Weight(*row[1:]) for row in rows}


async def select_documents_with_sellers(
    connection: Connection, account_id: str, document_ids: Sequence[str]
) -> dict[str, tuple[DocumentRow, str]]:
    """Each document that there still is, with the seller frozen in it, or as the account stands now for a draft."""
    rows = await connection.fetch(
        """
        select
            coalesce(d.seller, a.profile), d.id, d.type, d.number, d.status, d.client_id, coalesce(c.profile, d.client),
            d.currency, d.issued_date, d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total,
            d.notes, d.template, d.locale, d.page_size, d.created_at, d.updated_at,
            d.external_id, d.metadata, d.content_updated_at
        from api.documents d
        join api.accounts a on a.id = d.account_id
        left join api.clients c on d.status = 'draft' and c.account_id = d.account_id and c.id = d.client_id
        where d.account_id = $1 and d.id = any($2::text[])
        """,
        account_id, document_ids,
    )  # fmt: skip
    return {row[1]: (document_row(row[1:]), row[0]) for row in rows}


async def expire_exports(connection: Connection, *, now: datetime, limit: int) -> None:
    await connection.execute(
        """
        update api.exports set state = 'expired', updated_at = $1 where (account_id, id) in (
            select account_id, id from api.exports where state = 'ready' and expires_at < $1 limit $2
        )
        """,
        now, limit,
    )  # fmt: skip


async def give_up_exports(connection: Connection, *, before: datetime, now: datetime, message: str) -> None:
    """End what should have ended long ago."""
    await connection.execute(
        """
        update api.exports set state = 'failed', message = $3, updated_at = $2
        where state in ('queued', 'running') and created_at < $1
        """,
        before, now, message,
    )  # fmt: skip


async def select_uncleaned(connection: Connection, *, before: datetime, limit: int) -> list[tuple[str, str]]:
    """Account and id of those that have no file, but may have objects still."""
    rows = await connection.fetch(
        """
        select account_id, id from api.exports
        where state in ('failed', 'cancelled', 'expired') and updated_at < $1 and cleaned_at is null limit $2
        """,
        before, limit,
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


async def mark_cleaned(connection: Connection, account_id: str, export_id: str, *, now: datetime) -> None:
    await connection.execute(
        "update api.exports set cleaned_at = $3 where account_id = $1 and id = $2", account_id, export_id, now
    )


async def delete_old_exports(connection: Connection, *, before: datetime, limit: int) -> None:
    """Forget those that have left nothing."""
    await connection.execute(
        """
        delete from api.exports where (account_id, id) in (
            select account_id, id from api.exports
            where state in ('failed', 'cancelled', 'expired') and updated_at < $1 and cleaned_at is not null limit $2
        )
        """,
        before, limit,
    )  # fmt: skip
