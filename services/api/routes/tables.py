"""Tables as CSV by RFC 4180, in UTF-8: one row for each JSON object, of its fields that are no lists and no objects.

Amounts and dates stand as in the JSON. A text that a spreadsheet would take for a formula is given an apostrophe before
it, as OWASP says (CSV Injection): whoever wants the bare text reads the JSON.
"""

import csv
from collections.abc import Iterable, Sequence
from decimal import Decimal
from io import StringIO

import msgspec

# What OWASP names, and the full-width forms of the first four.
FORMULA_BEGINNINGS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class _Client(msgspec.Struct, frozen=True):
    name: str


class _Document(msgspec.Struct, frozen=True):
    """What of a document is a cell."""

    id: str
    type: str
    number: str | None
    status: str
    client_id: str
    client: _Client
    currency: str
    issued_date: str
    due_date: str | None
    subtotal: Decimal
    tax_rate: Decimal
    tax_amount: Decimal
    total: Decimal
    notes: str
    template: str
    locale: str | None
    page_size: str | None
    created_at: str
    updated_at: str
    external_id: str | None = None


class _ClientRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    email: str | None
    company: str | None
    country: str | None
    address_line1: str | None
    address_line2: str | None
    city: str | None
    region: str | None
    postal_code: str | None
    phone: str | None
    tax_id: str | None
    locale: str | None
    created_at: str
    updated_at: str
    external_id: str | None = None


DOCUMENT_COLUMNS = (
    "id", "type", "number", "status", "client_id", "client_name", "currency", "issued_date", "due_date", "subtotal",
    "tax_rate", "tax_amount", "total", "notes", "template", "locale", "page_size", "external_id", "created_at",
    "updated_at",
)  # fmt: skip
CLIENT_COLUMNS = (
    "id", "name", "email", "company", "country", "address_line1", "address_line2", "city", "region", "postal_code",
    "phone", "tax_id", "locale", "external_id", "created_at", "updated_at",
)  # fmt: skip
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_client = msgspec.json.Decoder(_ClientRow).decode

Cells = Sequence[str | Decimal | None]


def header_row(columns: Sequence[str]) -> bytes:
    return _written([columns])


def document_rows(bodies: Sequence[bytes]) -> bytes:
    return _written(_document_cells(_decode_document(body)) for body in bodies)


def client_rows(bodies: Sequence[bytes]) -> bytes:
    return _written(_client_cells(_decode_client(body)) for body in bodies)


def harmless(text: str | None) -> str | None:
    """The text, behind an apostrophe if it could be taken for a formula."""
    return f"'{text}" if text and text[0] in FORMULA_BEGINNINGS else text


def _written(rows: Iterable[Cells]) -> bytes:
    table = StringIO(newline="")
    csv.writer(table, lineterminator="\r\n").writerows(rows)
    return table.getvalue().encode()


def _document_cells(row: _Document) -> Cells:
    return (
        row.id, row.type, row.number, row.status, row.client_id, harmless(row.client.name), row.currency,
        row.issued_date, row.due_date, row.subtotal, row.tax_rate, row.tax_amount, row.total, harmless(row.notes),
        row.template, row.locale, row.page_size, harmless(row.external_id), row.created_at, row.updated_at,
    )  # fmt: skip


def _client_cells(row: _ClientRow) -> Cells:
    return (
        row.id, harmless(row.name), harmless(row.email), harmless(row.company), harmless(row.country),
        harmless(row.address_line1), harmless(row.address_line2), harmless(row.city), harmless(row.region),
        harmless(row.postal_code), harmless(row.phone), harmless(row.tax_id), row.locale, harmless(row.external_id),
        row.created_at, row.updated_at,
    )  # fmt: skip
