"""The JSON that is answered for documents: made when one is written, completed when one is read.

What may have changed since it was written is a sent document's status, which time makes overdue, and a draft's client.
Both stand before any word of a customer's, so that they are found by their first occurrence.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import msgspec

from services.api.call import Call
from services.api.domain.document import Content
from services.api.domain.lifecycle import status_on
from services.api.domain.metadata import Metadata
from services.api.http import encode_json
from services.api.store.documents import DocumentRow, select_rows
from services.api.store.listing import Shown
from shared.postgres import Connection

NO_CLIENT = b'"client":null'
SENT, OVERDUE = b'"status":"sent"', b'"status":"overdue"'


class DocumentBody(msgspec.Struct, frozen=True):
    """A document as answered, in the order of the documentation; what is Raw is JSON already."""

    id: str
    type: str
    number: str | None
    status: str
    client_id: str
    client: msgspec.Raw
    currency: str
    issued_date: date
    due_date: date | None
    items: msgspec.Raw
    subtotal: Decimal
    tax_rate: Decimal
    tax_amount: Decimal
    total: Decimal
    notes: str
    template: str
    locale: str | None
    page_size: str | None
    external_id: str | None
    metadata: Metadata | msgspec.Raw
    created_at: datetime
    updated_at: datetime


def stored_body(row: DocumentRow) -> str:
    """The document as answered, as far as no time and no other change can touch it."""
    return _body(
        row,
        document_id=row.id,
        number=row.number,
        status=row.status,
        client=row.client,
        items=row.items.encode(),
        metadata=msgspec.Raw((row.metadata or "{}").encode()),
        created_at=row.created_at.replace(microsecond=0),
        updated_at=row.updated_at.replace(microsecond=0),
    )


def new_body(
    content: Content,
    *,
    document_id: str,
    number: str | None,
    status: str,
    client: str,
    items: bytes,
    second: datetime,
) -> str:
    """The same of a document that is created in this second; ``items`` are the content's, as JSON."""
    return _body(
        content,
        document_id=document_id,
        number=number,
        status=status,
        client=client,
        items=items,
        metadata=content.metadata,
        created_at=second,
        updated_at=second,
    )


def _body(
    told: DocumentRow | Content,
    *,
    document_id: str,
    number: str | None,
    status: str,
    client: str,
    items: bytes,
    metadata: Metadata | msgspec.Raw,
    created_at: datetime,
    updated_at: datetime,
) -> str:
    return encode_json(
        DocumentBody(
            id=document_id,
            type=told.type,
            number=number,
            status=status,
            client_id=told.client_id,
            client=msgspec.Raw(b"null" if status == "draft" else client.encode()),
            currency=told.currency,
            issued_date=told.issued_date,
            due_date=told.due_date,
            items=msgspec.Raw(items),
            subtotal=told.subtotal,
            tax_rate=told.tax_rate,
            tax_amount=told.tax_amount,
            total=told.total,
            notes=told.notes,
            template=told.template,
            locale=told.locale,
            page_size=told.page_size,
            external_id=told.external_id,
            metadata=metadata,
            created_at=created_at,
            updated_at=updated_at,
        )
    ).decode()


def body_around_client(row: DocumentRow) -> tuple[str, str]:
    """The body of a document whose client is not at hand, before and after the client's place."""
    head, name, tail = stored_body(msgspec.structs.replace(row, client="null")).partition('"client":')
    return head + name, tail.removeprefix("null")


def around_client(parts: tuple[str, str], client: str, row: DocumentRow, today: date) -> bytes:
    """The body of a document that was written around its client a moment ago, as it is answered on a day."""
    return shown_body(Shown(row.id, client.join(parts), row.status, row.due_date, None), today)


def shown_row(row: DocumentRow, today: date) -> bytes:
    client = row.client if row.status == "draft" else None
    return shown_body(Shown(row.id, stored_body(row), row.status, row.due_date, client), today)


def shown_body(found: Shown | DocumentRow, today: date) -> bytes:
    """A stored body as it is answered on a day, or one that is made of the columns."""
    if isinstance(found, DocumentRow):
        return shown_row(found, today)
    body = (found.body or "").encode()
    if found.client is not None:
        body = body.replace(NO_CLIENT, b'"client":' + found.client.encode(), 1)
    if status_on(today, found.status, found.due_date) == "overdue":
        body = body.replace(SENT, OVERDUE, 1)
    return body


async def shown_bodies(connection: Connection, call: Call, found: Sequence[Shown]) -> list[bytes]:
    """One that has just been deleted may be left out."""
    return [shown_body(each, call.today) for each in await completed(connection, call, found)]


async def completed(
    connection: Connection, call: Call, found: Sequence[Shown]
) -> Sequence[Shown | DocumentRow]:
    """Those without a stored body as their columns; one that has just been deleted is left out."""
    bare = [shown.id for shown in found if shown.body is None]
    if not bare:
        return found
    rows = await select_rows(connection, call.account_id, bare)
    whole = (shown if shown.body is not None else rows.get(shown.id) for shown in found)
    return [each for each in whole if each is not None]
