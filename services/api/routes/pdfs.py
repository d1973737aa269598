"""A document as PDF over HTTP: rendered once per state, then answered from the store or with 304."""

from services.api.call import Call
from services.api.door import Door
from services.api.http import Answer, Headers, is_known
from services.api.operation import Operation
from services.api.pdf import as_render
from services.api.routes.documents import no_such_document, path_document_id
from services.api.routes.lists import choice
from services.api.routes.shapes import render_job
from services.api.store import documents
from services.api.store.documents import DocumentRow
from shared.objects import File

DISPOSITIONS = ("attachment", "inline")


async def read_pdf(call: Call) -> Answer:
    disposition = choice(call.query("disposition"), "disposition", DISPOSITIONS) or "attachment"
    async with call.connection() as connection:
        found = await documents.select_document_with_seller(
            connection, call.account_id, path_document_id(call)
        )
    if found is None:
        raise no_such_document()
    row, seller = found
    render = as_render(call.account_id, render_job(call.account_id, row, seller, call.today))
    headers = _headers(row, f'"{render.key}"'.encode(), disposition)
    if is_known(call.scope, render.key):
        return Answer(status=304, headers=tuple(headers))
    headers.append((b"content-type", b"application/pdf"))
    return file_answer(headers, await call.state["pdfs"].get(render))


def file_answer(headers: Headers, file: File) -> Answer:
    if isinstance(file, bytes):
        return Answer(headers=tuple(headers), body=file)
    size_bytes, stream = file
    return Answer(headers=(*headers, (b"content-length", b"%d" % size_bytes)), stream=stream)


def _headers(row: DocumentRow, etag: bytes, disposition: str) -> Headers:
    filename = f"{row.number or row.id}.pdf"
    return [
        (b"etag", etag),
        (b"cache-control", b"private, no-cache"),
        (b"content-disposition", f'{disposition}; filename="{filename}"'.encode()),
    ]


DOORS = {"/v1/documents/{document_id}/pdf": Door(GET=Operation(read_pdf, "documents:read"))}
