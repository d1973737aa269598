"""Documents over HTTP: create, list, read, change, move on, delete."""

from typing import Any

import msgspec

from services.api.call import Call
from services.api.domain.document import Content, Defaults
from services.api.domain.lifecycle import (
    NUMBERED_STATUSES,
    require_draft,
    status_after,
    status_on,
)
from services.api.domain.metadata import OWN_FIELDS
from services.api.domain.numbering import document_number
from services.api.domain.rules import read_fields, validation_error
from services.api.door import Door
from services.api.http import JSON, Answer, decode_json, json_answer
from services.api.operation import Operation
from services.api.routes.bodies import around_client, body_around_client, shown_bodies, shown_row, stored_body
from services.api.routes.filters import FILTER_PARAMETERS, read_filter, read_order
from services.api.routes.holders import held_once, named_in
from services.api.routes.lists import WINDOW_PARAMETERS, page_body, read_window
from services.api.routes.pages import next_part, page_answer
from services.api.routes.shapes import content_of, metadata_text, row_of
from services.api.store import clients, documents, numbers
from services.api.store.documents import DocumentRow
from services.api.store.ids import is_id
from services.api.store.listing import Span, select_page
from services.api.store.orders import Position
from services.api.tags import is_conditional, require_conditions
from shared.errors import Problem
from shared.postgres import Connection

NO_SUCH_CLIENT = {"client_id": "No such client"}


async def create_document(call: Call) -> Answer:
    read = call.state["documents"].ordinary(call.body, defaults_of(call))
    return await _created(call, *(read or await _read_new(call, decode_json(call.body), None)))


async def created_document(call: Call, body: Any, external_id: str) -> Answer:
    """``external_id`` is the one in the path; raises external_id_taken."""
    return await _created(call, *await _read_new(call, body, external_id))


async def _created(call: Call, content: Content, status: str) -> Answer:
    is_single = status == "draft" and content.external_id is None
    opened = call.connection() if is_single else call.transaction()
    async with held_once(call, content.external_id), opened as connection:
        row = row_of(
            content,
            document_id=call.reservation,
            status=status,
            number=await _number(connection, call, content, status),
            client="",
            created_at=call.now,
            updated_at=call.now,
        )
        call.may_exist = True
        parts = body_around_client(row)
        client = await documents.insert_document(connection, call.account_id, row, parts)
        if client is None:
            raise validation_error(NO_SUCH_CLIENT)
    return Answer(status=201, body=around_client(parts, client, row, call.today), headers=JSON)


async def list_documents(call: Call) -> Answer:
    query = call.query("sort", *FILTER_PARAMETERS, *WINDOW_PARAMETERS)
    window, kept = read_window(query, "doc", read_order(query)), read_filter(call, query)
    span = Span(order=window.order, after=window.after, limit=window.per_page + 1, offset=window.offset)
    async with call.connection() as connection:
        page = await select_page(connection, call.account_id, kept, span)
        part = await next_part(connection, call, page.rows[: window.per_page])
    last = page.rows[window.per_page - 1] if len(page.rows) > window.per_page else None
    place = None if last is None else Position(last.key, last.id)
    return page_answer(call, part, page_body(window, [], page.total, place, least=page.least))


async def read_document(call: Call) -> Answer:
    async with call.connection() as connection:
        return await shown_document(connection, call, path_document_id(call))


async def shown_document(connection: Connection, call: Call, document_id: str) -> Answer:
    shown = await documents.select_shown(connection, call.account_id, document_id)
    found = await shown_bodies(connection, call, [shown] if shown else [])
    if not found:
        raise no_such_document()
    return Answer(body=found[0], headers=JSON)


async def update_document(call: Call) -> Answer:
    body = decode_json(call.body)
    async with held_once(call, named_in(body)), call.transaction() as connection:
        return await changed_document(connection, call, path_document_id(call), body)


async def changed_document(
    connection: Connection, call: Call, document_id: str, body: Any, external_id: str | None = None
) -> Answer:
    """``external_id`` is the one in the path, if so."""
    row = await _locked_document(connection, call, document_id)
    if _news(body, row) != {"metadata"}:
        require_draft(status_on(call.today, row.status, row.due_date))
    content, status = await _read_changed(connection, call, row, body, external_id)
    if body.keys() <= OWN_FIELDS:
        changed = _noted(call, row, content)
    else:
        changed = await _rewritten(connection, call, row, content, status)
    await documents.update_document(connection, call.account_id, changed, stored_body(changed))
    return _shown(call, changed)


async def pay_document(call: Call) -> Answer:
    return await _move(call, "pay")


async def cancel_document(call: Call) -> Answer:
    return await _move(call, "cancel")


async def delete_document(call: Call) -> Answer:
    async with call.transaction() as connection:
        return await deleted_document(connection, call, path_document_id(call))


async def deleted_document(connection: Connection, call: Call, document_id: str) -> Answer:
    if is_conditional(call.scope):
        await _locked_document(connection, call, document_id)
    deleted = await documents.delete_document(connection, call.account_id, document_id)
    if deleted is None:
        raise no_such_document()
    kind, number = deleted
    if number is not None:
        await numbers.insert_deleted_number(
            connection, call.account_id, number=number, kind=kind, document_id=document_id, now=call.now
        )
    call.afterwards.append(lambda: call.state["pdfs"].delete(call.account_id, document_id))
    return json_answer({"id": document_id, "deleted": True})


def _shown(call: Call, row: DocumentRow) -> Answer:
    return Answer(body=shown_row(row, call.today), headers=JSON)


async def _move(call: Call, action: str) -> Answer:
    if call.body:
        read_fields(decode_json(call.body), {})
    async with call.transaction() as connection:
        row = await _locked_document(connection, call, path_document_id(call))
        status = status_after(action, status_on(call.today, row.status, row.due_date))
        moved = msgspec.structs.replace(row, status=status, updated_at=call.now, content_updated_at=None)
        await documents.update_document(connection, call.account_id, moved, stored_body(moved))
    return _shown(call, moved)


async def _read_new(call: Call, body: Any, external_id: str | None) -> tuple[Content, str]:
    try:
        return call.state["documents"].new(body, defaults_of(call), external_id)
    except Problem as problem:
        async with call.connection() as connection:
            raise await _with_client(connection, call, problem, body) from None


def defaults_of(call: Call) -> Defaults:
    return Defaults(call.principal.currency, call.principal.template, call.today)


async def _read_changed(
    connection: Connection, call: Call, row: DocumentRow, body: Any, external_id: str | None
) -> tuple[Content, str]:
    try:
        return call.state["documents"].changed(content_of(row), body, external_id)
    except Problem as problem:
        raise await _with_client(connection, call, problem, body, row.client_id) from None


def _news(body: Any, row: DocumentRow) -> set[str]:
    """The fields that ``body`` names, but for an external id that the document has already."""
    fields = body if isinstance(body, dict) else {}
    held = {"external_id"} if fields.get("external_id", "") == row.external_id else set[str]()
    return fields.keys() - held


async def _rewritten(
    connection: Connection, call: Call, row: DocumentRow, content: Content, status: str
) -> DocumentRow:
    return row_of(
        content,
        document_id=row.id,
        status=status,
        client=await _client_profile(connection, call, row, content),
        number=await _number(connection, call, content, status),
        created_at=row.created_at,
        updated_at=call.now,
    )


def _noted(call: Call, row: DocumentRow, content: Content) -> DocumentRow:
    """With what its owner notes beside it, of which its PDF knows nothing."""
    return msgspec.structs.replace(
        row,
        external_id=content.external_id,
        metadata=metadata_text(content.metadata),
        updated_at=call.now,
        content_updated_at=row.content_updated_at or row.updated_at,
    )


async def _with_client(
    connection: Connection, call: Call, problem: Problem, body: Any, held_id: str | None = None
) -> Problem:
    """The problem with an unknown client among its faults, so that all of them are told at once."""
    faults = {path: str(sentence) for path, sentence in (problem.details or {}).items()}
    client_id = body.get("client_id") if faults and "client_id" not in faults else None
    if client_id is None or client_id == held_id:
        return problem
    known = is_id(client_id, "cl") and await clients.select_client(connection, call.account_id, client_id)
    return problem if known else validation_error(faults | NO_SUCH_CLIENT)


async def _client_profile(connection: Connection, call: Call, row: DocumentRow, content: Content) -> str:
    if content.client_id == row.client_id:
        return row.client
    client = await clients.select_client(connection, call.account_id, content.client_id)
    if client is None:
        raise validation_error(NO_SUCH_CLIENT)
    return client.profile


async def _number(connection: Connection, call: Call, content: Content, status: str) -> str | None:
    """The document's number, taken when it leaves draft for a numbered status."""
    if status not in NUMBERED_STATUSES:
        return None
    year = content.issued_date.year
    sequence = await numbers.take_number(connection, call.account_id, content.type, year)
    return document_number(content.type, year, sequence)


async def _locked_document(connection: Connection, call: Call, document_id: str) -> DocumentRow:
    row = await documents.select_document_for_update(connection, call.account_id, document_id)
    if row is None:
        raise no_such_document()
    if is_conditional(call.scope):
        await _require_conditions(connection, call, row)
    return row


async def _require_conditions(connection: Connection, call: Call, row: DocumentRow) -> None:
    """Asked of the body that reading would answer, which costs a statement only those who ask."""
    shown = await documents.select_shown(connection, call.account_id, row.id)
    for body in await shown_bodies(connection, call, [shown] if shown else []):
        require_conditions(call.scope, body)


def path_document_id(call: Call) -> str:
    document_id = call.path("document_id")
    if not is_id(document_id, "doc"):
        raise no_such_document()
    return document_id


def no_such_document() -> Problem:
    return Problem("not_found", "There is no such document")


DOORS = {
    "/v1/documents": Door(
        GET=Operation(list_documents, "documents:read", reads=True),
        POST=Operation(create_document, "documents:write", documents=1, tagged=True),
    ),
    "/v1/documents/{document_id}": Door(
        GET=Operation(read_document, "documents:read", reads=True, tagged=True),
        PUT=Operation(update_document, "documents:write", tagged=True),
        DELETE=Operation(delete_document, "documents:write"),
    ),
    "/v1/documents/{document_id}/pay": Door(POST=Operation(pay_document, "documents:write", tagged=True)),
    "/v1/documents/{document_id}/cancel": Door(
        POST=Operation(cancel_document, "documents:write", tagged=True)
    ),
}
