"""Many rows in one statement: written from columns, and looked for by many names at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.postgres import Connection

Columns = Sequence[Sequence[Any]]


async def select_profiles(
    connection: Connection, account_id: str, client_ids: Sequence[str]
) -> dict[str, str]:
    """Those of the clients that there are, by their ids."""
    rows = await connection.fetch(
        "select id, profile from api.clients where account_id = $1 and id = any($2::text[])",
        account_id,
        client_ids,
    )
    return {row[0]: row[1] for row in rows}


async def take_numbers(
    connection: Connection, account_id: str, wanted: Sequence[tuple[str, int, int]]
) -> dict[tuple[str, int], int]:
    """The first of as many as are wanted of each kind and year, in the caller's transaction; each sequence once."""
    rows = await connection.fetch(
        """
        insert into api.number_sequences as s (account_id, type, year, last)
        select $1, w.type, w.year, w.amount
        from unnest($2::text[], $3::integer[], $4::bigint[]) as w (type, year, amount)
        order by w.type, w.year
        on conflict (account_id, type, year) do update set last = s.last + excluded.last
        returning type, year, last
        """,
        account_id, *zip(*wanted, strict=True),
    )  # fmt: skip
    amounts = {(kind, year): amount for kind, year, amount in wanted}
    return {(kind, year): last - amounts[kind, year] + 1 for kind, year, last in rows}


async def insert_documents(
    connection: Connection, account_id: str, bodies: Sequence[str], profiles: str, *, now: datetime
) -> None:
    """Write documents whose block is claimed, all of whose columns but their moments are in their stored bodies.

    ``profiles`` is a JSON object of their clients' by id.
    """
    await connection.execute(
        """
        insert into api.documents (
            account_id, id, type, number, status, client_id, client, seller, currency, issued_date, due_date,
            items, subtotal, tax_rate, tax_amount, total, notes, template, locale, page_size, created_at, updated_at,
            external_id, metadata, body
        )
        select
            $1, d.id, d.type, d.number, d.status, d.client_id, c.profile,
            case when d.status <> 'draft' then (select a.profile from api.accounts a where a.id = $1) end,
            d.currency, d.issued_date, d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total,
            d.notes, d.template, d.locale, d.page_size, $2, $2, d.external_id,
            case when d.metadata::text <> '{}' then d.metadata end, b.body
        from unnest($3::text[]) as b (body)
        cross join lateral json_to_record(b.body::json) as d (
            id text, type text, number text, status text, client_id text, currency text, issued_date date,
            due_date date, items json, subtotal numeric, tax_rate numeric, tax_amount numeric, total numeric,
            notes text, template text, locale text, page_size text, external_id text, metadata json
        )
        join json_each($4::json) as c (client_id, profile) on c.client_id = d.client_id
        """,
        account_id, now, bodies, profiles,
    )  # fmt: skip


async def insert_clients(connection: Connection, account_id: str, columns: Columns, *, now: datetime) -> None:
    await connection.execute(
        """
        insert into api.clients (account_id, id, profile, created_at, updated_at, external_id, metadata)
        select $1, c.id, c.profile::json, $2, $2, c.external_id, c.metadata::json
        from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as c (id, profile, external_id, metadata)
        """,
        account_id, now, *columns,
    )  # fmt: skip


async def select_taken_by_documents(
    connection: Connection, account_id: str, external_ids: Sequence[str]
) -> dict[str, str]:
    """The ids of the documents that have one of these external ids, by it."""
    rows = await connection.fetch(
        """
        select external_id, id from api.documents
        where account_id = $1 and external_id is not null and external_id = any($2::text[])
        """,
        account_id, external_ids,
    )  # fmt: skip
    return {row[0]: row[1] for row in rows}


async def select_taken_by_clients(
    connection: Connection, account_id: str, external_ids: Sequence[str]
) -> dict[str, str]:
    """The ids of the clients that have one of these external ids, by it."""
    rows = await connection.fetch(
        """
        select external_id, id from api.clients
        where account_id = $1 and external_id is not null and external_id = any($2::text[])
        """,
        account_id, external_ids,
    )  # fmt: skip
    return {row[0]: row[1] for row in rows}
