"""A document as PDF over HTTP: rendered once per state, then answered from the store or with 304."""

from services.api.call import Call
from services.api.door import Door, Operation
from services.api.http import Answer, Headers, header
from services.api.pdf import as_render
from services.api.routes.documents import found_document
from services.api.routes.lists import choice
from services.api.routes.shapes import render_job
from services.api.store import documents
from services.api.store.documents import DocumentRow

DISPOSITIONS = ("attachment", "inline")


async def read_pdf(call: Call) -> Answer:
    disposition = choice(call.query("disposition"), "disposition", DISPOSITIONS) or "attachment"
    async with call.connection() as connection:
        row = await found_document(connection, call)
        seller = await documents.select_seller(connection, call.account_id, row.id)
    render = as_render(call.account_id, render_job(call.account_id, row, seller, call.today))
    headers = _headers(row, f'"{render.key}"'.encode(), disposition)
    if _is_known(header(call.scope, b"if-none-match"), render.key):
        return Answer(status=304, headers=tuple(headers))
    size_bytes, stream = await call.state["pdfs"].get(render)
    headers += [(b"content-type", b"application/pdf"), (b"content-length", b"%d" % size_bytes)]
    return Answer(headers=tuple(headers), stream=stream)


def _headers(row: DocumentRow, etag: bytes, disposition: str) -> Headers:
    filename = f"{row.number or row.id}.pdf"
    return [
        (b"etag", etag),
        (b"cache-control", b"private, no-cache"),
        (b"content-disposition", f'{disposition}; filename="{filename}"'.encode()),
    ]


def _is_known(if_none_match: bytes | None, key: str) -> bool:
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(",")}
    return "*" in tags or f'"{key}"' in tags


DOORS = {"/v1/documents/{document_id}/pdf": Door(GET=Operation(read_pdf, "documents:read"))}
