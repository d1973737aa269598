"""Whole lists over HTTP, as NDJSON and as CSV: sent as they are read."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

import msgspec

from services.api.call import Call
from services.api.door import Door
from services.api.http import Answer, Headers, encode_json
from services.api.operation import Operation
from services.api.routes.bodies import completed, shown_body
from services.api.routes.filters import FILTER_PARAMETERS, read_filter, read_order
from services.api.routes.shapes import client_body
from services.api.routes.tables import (
    CLIENT_COLUMNS,
    DOCUMENT_COLUMNS,
    client_rows,
    document_rows,
    header_row,
)
from services.api.store.clients import select_clients
from services.api.store.streaming import Place, select_batch
from services.api.streams import STREAM_S_MAX, Batch, Read

# A third of a millisecond of work as NDJSON, one as CSV: so long the event loop waits for nothing else.
CHUNK_ROWS = 100
# A client with all the metadata that it may have takes some 30 kB.
CLIENTS_AT_ONCE = 200

Row = TypeVar("Row")


class Form(msgspec.Struct, frozen=True):
    """What a stream is written in: what stands before all rows, and what becomes of some of them."""

    content_type: bytes
    suffix: str
    head: bytes
    write: Callable[[Sequence[bytes]], bytes]


def ndjson_rows(bodies: Sequence[bytes]) -> bytes:
    """A line each; JSON has line breaks only where they mean nothing."""
    return b"".join([body.replace(b"\n", b" ") + b"\n" for body in bodies])


def csv_form(columns: Sequence[str], write: Callable[[Sequence[bytes]], bytes]) -> Form:
    return Form(b"text/csv; charset=utf-8; header=present", "csv", header_row(columns), write)


NDJSON = Form(b"application/x-ndjson", "ndjson", b"", ndjson_rows)
DOCUMENTS_CSV = csv_form(DOCUMENT_COLUMNS, document_rows)
CLIENTS_CSV = csv_form(CLIENT_COLUMNS, client_rows)


async def export_documents(call: Call, form: Form) -> Answer:
    query = call.query("sort", *FILTER_PARAMETERS)
    kept, order = read_filter(call, query), read_order(query)

    async def read(after: Place | None) -> Batch:
        async with call.connection() as connection:
            batch = await select_batch(connection, call.account_id, kept, order=order, place=after)
            found = await completed(connection, call, batch.found)
        chunks = _chunks(form, found, lambda each: shown_body(each, call.today))
        return _batch(form, chunks, after, batch.place)

    return await _streamed(call, form, "documents", read)


async def export_clients(call: Call, form: Form) -> Answer:
    call.query()

    async def read(after: str | None) -> Batch:
        async with call.connection() as connection:
            found = await select_clients(
                connection, call.account_id, below_id=after, limit=CLIENTS_AT_ONCE, offset=0
            )
        chunks = _chunks(form, found, lambda row: encode_json(client_body(row)))
        last_id = found[-1].id if len(found) == CLIENTS_AT_ONCE else None
        return _batch(form, chunks, after, last_id)

    return await _streamed(call, form, "clients", read)


def _chunks(form: Form, rows: Sequence[Row], body_of: Callable[[Row], bytes]) -> Iterator[bytes]:
    for at in range(0, len(rows), CHUNK_ROWS):
        yield form.write([body_of(row) for row in rows[at : at + CHUNK_ROWS]])


def _batch(
    form: Form, chunks: Iterator[bytes], after: Place | str | None, following: Place | str | None
) -> Batch:
    begins = form.head and after is None
    return Batch(chain([form.head], chunks) if begins else chunks, following)


async def _streamed(call: Call, form: Form, name: str, read: Read) -> Answer:
    streams = call.state["streams"]
    first = await streams.begin(call.account_id, read)
    chunks = streams.chunks(call.account_id, first, read)
    return Answer(headers=_headers(call, form, name), stream=chunks, stream_s_max=STREAM_S_MAX)


def _headers(call: Call, form: Form, name: str) -> tuple[tuple[bytes, bytes], ...]:
    filename = f"{name}-{call.today.isoformat()}.{form.suffix}"
    headers: Headers = [
        (b"cache-control", b"private, no-cache"),
        (b"content-type", form.content_type),
        (b"content-disposition", f'attachment; filename="{filename}"'.encode()),
    ]
    return tuple(headers)


DOORS = {
    "/v1/documents/export.ndjson": Door(
        GET=Operation(partial(export_documents, form=NDJSON), "documents:read")
    ),
    "/v1/documents/export.csv": Door(
        GET=Operation(partial(export_documents, form=DOCUMENTS_CSV), "documents:read")
    ),
    "/v1/clients/export.ndjson": Door(GET=Operation(partial(export_clients, form=NDJSON), "clients:read")),
    "/v1/clients/export.csv": Door(GET=Operation(partial(export_clients, form=CLIENTS_CSV), "clients:read")),
}
