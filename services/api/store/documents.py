"""Documents in PostgreSQL, one statement a function; items, client, seller and body travel as JSON text.

While a document is a draft its client is the live one, joined; `client` then holds it as it was at creation,
for the instant in which a client is deleted beside a create.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from asyncpg import Record

from services.api.domain.money import plain
from services.api.store.listing import Shown
from shared.postgres import Connection


class DocumentRow(msgspec.Struct, frozen=True):
    """``status`` as stored; ``client``, ``items`` and ``metadata`` are JSON text, the last None where there is none.

    ``content_updated_at`` is None where the last change was one of what the PDF shows.
    """

    id: str
    type: str
    number: str | None
    status: str
    client_id: str
    client: str
    currency: str
    issued_date: date
    due_date: date | None
    items: str
    subtotal: Decimal
    tax_rate: Decimal
    tax_amount: Decimal
    total: Decimal
    notes: str
    template: str
    locale: str | None
    page_size: str | None
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None
    metadata: str | None = None
    content_updated_at: datetime | None = None


async def insert_document(
    connection: Connection, account_id: str, row: DocumentRow, body: tuple[str, str]
) -> str | None:
    """Write the document with its client's profile, which is returned; None, and nothing written, without a client.

    The client's place in the stored body is between the two parts of ``body``.

    Raises SerializationError for a document whose reservation was given back meanwhile.
    """
    return await connection.fetchval(
        """
        insert into api.documents (
            account_id, id, type, number, status, client_id, client, seller, currency, issued_date, due_date,
            items, subtotal, tax_rate, tax_amount, total, notes, template, locale, page_size, created_at, updated_at,
            external_id, metadata, body
        )
        select
            $1, $2, $3, $4, $5, $6, c.profile,
            case when $5 <> 'draft' then (select a.profile from api.accounts a where a.id = $1) end,
            $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $19,
            $20, $21, $22 || case when $5 = 'draft' then 'null' else c.profile::text end || $23
        from api.clients c where c.account_id = $1 and c.id = $6 and api.claim_document($1, $2)
        returning client
        """,
        account_id, row.id, row.type, row.number, row.status, row.client_id, row.currency, row.issued_date,
        row.due_date, row.items, row.subtotal, row.tax_rate, row.tax_amount, row.total, row.notes, row.template,
        row.locale, row.page_size, row.created_at, row.external_id, row.metadata, *body,
    )  # fmt: skip


async def select_document_for_update(
    connection: Connection, account_id: str, document_id: str
) -> DocumentRow | None:
    """The document, locked until the transaction ends."""
    row = await connection.fetchrow(
        """
        select
            d.id, d.type, d.number, d.status, d.client_id, coalesce(c.profile, d.client),
            d.currency, d.issued_date, d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total,
            d.notes, d.template, d.locale, d.page_size, d.created_at, d.updated_at,
            d.external_id, d.metadata, d.content_updated_at
        from api.documents d
        left join api.clients c on d.status = 'draft' and c.account_id = d.account_id and c.id = d.client_id
        where d.account_id = $1 and d.id = $2
        for update of d
        """,
        account_id, document_id,
    )  # fmt: skip
    return None if row is None else document_row(row)


async def update_document(connection: Connection, account_id: str, row: DocumentRow, body: str) -> None:
    """Write new content and status; leaving draft freezes the client given and the seller of that moment."""
    await connection.execute(
        """
        update api.documents set
            type = $3, number = $4, status = $5, client_id = $6, client = $7,
            seller = case
                when $5 <> 'draft' then coalesce(seller, (select a.profile from api.accounts a where a.id = $1))
            end,
            currency = $8, issued_date = $9, due_date = $10, items = $11, subtotal = $12, tax_rate = $13,
            tax_amount = $14, total = $15, notes = $16, template = $17, locale = $18, page_size = $19,
            updated_at = $20, external_id = $21, metadata = $22, content_updated_at = $23, body = $24
        where account_id = $1 and id = $2
        """,
        account_id, row.id, row.type, row.number, row.status, row.client_id, row.client, row.currency,
        row.issued_date, row.due_date, row.items, row.subtotal, row.tax_rate, row.tax_amount, row.total, row.notes,
        row.template, row.locale, row.page_size, row.updated_at, row.external_id, row.metadata,
        row.content_updated_at, body,
    )  # fmt: skip


async def select_id(connection: Connection, account_id: str, external_id: str) -> str | None:
    return await connection.fetchval(
        "select id from api.documents where account_id = $1 and external_id = $2", account_id, external_id
    )


async def select_id_for_update(connection: Connection, account_id: str, external_id: str) -> str | None:
    """Of the document that keeps this external id until the transaction ends."""
    return await connection.fetchval(
        "select id from api.documents where account_id = $1 and external_id = $2 for update",
        account_id,
        external_id,
    )


async def delete_document(
    connection: Connection, account_id: str, document_id: str
) -> tuple[str, str | None] | None:
    """The deleted document's type and number, or None when there was none."""
    row = await connection.fetchrow(
        "delete from api.documents where account_id = $1 and id = $2 returning type, number",
        account_id,
        document_id,
    )
    return None if row is None else (row[0], row[1])


async def select_document_with_seller(
    connection: Connection, account_id: str, document_id: str
) -> tuple[DocumentRow, str] | None:
    """The document, and its seller as frozen in it or, for a draft, as the account stands now."""
    row = await connection.fetchrow(
        """
        select
            d.id, d.type, d.number, d.status, d.client_id, coalesce(c.profile, d.client),
            d.currency, d.issued_date, d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total,
            d.notes, d.template, d.locale, d.page_size, d.created_at, d.updated_at,
            d.external_id, d.metadata, d.content_updated_at,
            coalesce(d.seller, (select a.profile from api.accounts a where a.id = $1))
        from api.documents d
        left join api.clients c on d.status = 'draft' and c.account_id = d.account_id and c.id = d.client_id
        where d.account_id = $1 and d.id = $2
        """,
        account_id, document_id,
    )  # fmt: skip
    return None if row is None else (document_row(tuple(row)[:-1]), row[-1])


async def select_shown(connection: Connection, account_id: str, document_id: str) -> Shown | None:
    row = await connection.fetchrow(
        """
        select
            d.id, d.body, d.status, d.due_date, case when d.status = 'draft' then coalesce(
                (select c.profile from api.clients c where c.account_id = d.account_id and c.id = d.client_id),
                d.client
            ) end
        from api.documents d where d.account_id = $1 and d.id = $2
        """,
        account_id, document_id,
    )  # fmt: skip
    return None if row is None else Shown(*row)


async def select_rows(
    connection: Connection, account_id: str, document_ids: Sequence[str]
) -> dict[str, DocumentRow]:
    """Those of the documents that there are, by their ids."""
    rows = await connection.fetch(
        """
        select
            d.id, d.type, d.number, d.status, d.client_id, coalesce(c.profile, d.client),
            d.currency, d.issued_date, d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total,
            d.notes, d.template, d.locale, d.page_size, d.created_at, d.updated_at,
            d.external_id, d.metadata, d.content_updated_at
        from api.documents d
        left join api.clients c on d.status = 'draft' and c.account_id = d.account_id and c.id = d.client_id
        where d.account_id = $1 and d.id = any($2::text[])
        """,
        account_id, document_ids,
    )  # fmt: skip
    return {row[0]: document_row(row) for row in rows}


def document_row(record: Record | tuple[Any, ...]) -> DocumentRow:
    row = DocumentRow(*record)
    return msgspec.structs.replace(
        row,
        subtotal=plain(row.subtotal),
        tax_rate=plain(row.tax_rate),
        tax_amount=plain(row.tax_amount),
        total=plain(row.total),
    )
