"""Exports over HTTP: many documents asked for at once, looked after, cancelled, and downloaded as one file."""

import re

import msgspec

from services.api.call import Call
from services.api.domain.export import (
    DOCUMENTS_MAX,
    PART_DOCUMENTS_MAX,
    UNFINISHED_STATES,
    Asked,
    Choice,
    document_faults,
    ordered,
    progress,
    read_export,
    require_unfinished,
)
from services.api.domain.rules import read_fields, validation_error
from services.api.door import Door
from services.api.exports import archive_path, part_path
from services.api.http import Answer, Headers, decode_json, header, is_known, json_answer
from services.api.operation import Operation
from services.api.problems import problem_answer
from services.api.routes.filters import check_filter
from services.api.routes.lists import WINDOW_PARAMETERS, list_body, read_window
from services.api.store import export_parts, exports
from services.api.store.exports import ExportRow
from services.api.store.ids import is_id, new_id
from services.api.store.listing import DocumentFilter, select_choices
from shared.errors import Problem
from shared.messages import ExportFault
from shared.postgres import Connection

UNFINISHED_MAX = 10
FULL_RETRY_S = 30
NOT_READY_RETRY_S = 2
MEDIA_TYPES = {"zip": b"application/zip", "pdf": b"application/pdf"}
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")
_decode_faults = msgspec.json.Decoder(list[ExportFault]).decode


async def create_export(call: Call) -> Answer:
    asked, faults = read_export(decode_json(call.body))
    kept, broken = check_filter(call.today, asked.filter)
    faults |= {f"filter.{name}": sentence for name, sentence in broken.items()}
    async with call.transaction() as connection:
        choices = await _choices(connection, call, asked, kept, faults)
        if faults:
            raise validation_error(faults)
        await exports.lock_exports(connection, call.account_id)
        if await exports.count_unfinished(connection, call.account_id) >= UNFINISHED_MAX:
            raise _too_many()
        document_ids = ordered(choices, asked.order, asked.documents or ())
        row = _new_row(call, asked, total=len(document_ids))
        await exports.insert_export(connection, call.account_id, row, document_ids)
        await export_parts.insert_parts(connection, call.account_id, row.id, documents_max=PART_DOCUMENTS_MAX)
    call.afterwards.append(lambda: _woken(call))
    answer = json_answer(export_body(row, []), 202)
    location = (b"location", f"/v1/exports/{row.id}".encode())
    return msgspec.structs.replace(answer, headers=(*answer.headers, location))


async def list_exports(call: Call) -> Answer:
    window = read_window(call.query(*WINDOW_PARAMETERS), "exp")
    async with call.connection() as connection:
        total = await exports.count_exports(connection, call.account_id)
        rows = await exports.select_exports(
            connection,
            call.account_id,
            below_id=window.below_id,
            limit=window.per_page + 1,
            offset=window.offset,
        )
    found = [export_body(row) for row in rows]
    return json_answer(list_body(window, found, total, [row.id for row in rows]))


async def read_export_state(call: Call) -> Answer:
    async with call.connection() as connection:
        row = await _found(connection, call)
        faults = await export_parts.select_faults(connection, call.account_id, row.id) if row.failed else []
    return json_answer(export_body(row, faults))


async def cancel_export(call: Call) -> Answer:
    if call.body:
        read_fields(decode_json(call.body), {})
    async with call.transaction() as connection:
        row = await exports.cancel_export(connection, call.account_id, _export_id(call), now=call.now)
        if row is None:
            row = await _found(connection, call)
            require_unfinished(row.state)
        faults = await export_parts.select_faults(connection, call.account_id, row.id)
        parts = await export_parts.select_parts(connection, call.account_id, row.id)
    paths = [part_path(call.account_id, row.id, first, count) for first, count in parts]
    paths.append(archive_path(call.account_id, row.id))
    call.afterwards.append(lambda: call.state["exports"].drop(call.account_id, row.id, paths))
    return json_answer(export_body(row, faults))


async def download_export(call: Call) -> Answer:
    """The file, whole or the one range that is asked for."""
    call.query()
    async with call.connection() as connection:
        row = await _found(connection, call)
    size_bytes = _ready_size(row)
    headers = _headers(row)
    if is_known(call.scope, row.id):
        return Answer(status=304, headers=tuple(headers))
    wanted = wanted_range(call, row.id, size_bytes)
    start, end = wanted or (0, size_bytes)
    if start >= end:
        return _unsatisfiable(size_bytes)
    stream = await call.state["exports"].open(archive_path(call.account_id, row.id), start, end)
    headers.append((b"content-length", b"%d" % (end - start)))
    if wanted:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size_bytes)))
    return Answer(status=206 if wanted else 200, headers=tuple(headers), stream=stream)


def export_body(row: ExportRow, faults: list[str] | None = None) -> dict[str, object]:
    """An export as answered; a list leaves out which documents failed."""
    body: dict[str, object] = {
        "id": row.id,
        "state": row.state,
        "format": row.format,
        "order": row.ordered,
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "progress": progress(row.state, total=row.total, done=row.done, failed=row.failed),
        "message": row.message,
        "created_at": row.created_at.replace(microsecond=0),
        "updated_at": row.updated_at.replace(microsecond=0),
        "expires_at": row.expires_at and row.expires_at.replace(microsecond=0),
        "download_url": f"/v1/exports/{row.id}/download" if row.state == "ready" else None,
    }
    if faults is not None:
        body["errors"] = [fault for part in faults for fault in _decode_faults(part)]
    return body


async def _choices(
    connection: Connection, call: Call, asked: Asked, kept: DocumentFilter, faults: dict[str, str]
) -> list[Choice]:
    """The documents asked for; what is wrong with them joins the faults."""
    if asked.documents is not None:
        named = [one for one in asked.documents if isinstance(one, str) and is_id(one, "doc")]
        choices = await exports.select_choices(connection, call.account_id, named)
        faults |= document_faults(asked.documents, {choice.id for choice in choices})
        return choices
    if faults:
        return []
    choices = await select_choices(connection, call.account_id, kept, limit=DOCUMENTS_MAX + 1)
    if not choices:
        faults["filter"] = "Matches no document"
    elif len(choices) > DOCUMENTS_MAX:
        faults["filter"] = f"Matches more than {DOCUMENTS_MAX:,} documents; ask for fewer at a time"
    return choices


def _new_row(call: Call, asked: Asked, *, total: int) -> ExportRow:
    return ExportRow(
        id=new_id("exp"),
        state="queued",
        format=asked.format,
        ordered=asked.order,
        total=total,
        created_at=call.now,
        updated_at=call.now,
    )


async def _woken(call: Call) -> None:
    call.state["exports"].wake()


async def _found(connection: Connection, call: Call) -> ExportRow:
    """The export that the path names, if it is this account's; raises not_found."""
    row = await exports.select_export(connection, call.account_id, _export_id(call))
    if row is None:
        raise _no_such_export()
    return row


def _export_id(call: Call) -> str:
    export_id = call.path("export_id")
    if not is_id(export_id, "exp"):
        raise _no_such_export()
    return export_id


def _no_such_export() -> Problem:
    return Problem("not_found", "There is no such export")


def _too_many() -> Problem:
    return Problem(
        "rate_limited",
        f"{UNFINISHED_MAX} exports are unfinished; wait for one of them to end, or cancel it",
        {"exports": f"At most {UNFINISHED_MAX} may be queued or running"},
        retry_after_s=FULL_RETRY_S,
    )


def _ready_size(row: ExportRow) -> int:
    """The file's size in bytes; raises export_not_ready, or not_found for one that has expired."""
    if row.state == "ready" and row.size_bytes is not None:
        return row.size_bytes
    if row.state == "expired":
        raise Problem("not_found", "The file has expired; make a new export")
    waiting = row.state in UNFINISHED_STATES
    raise Problem(
        "export_not_ready",
        "The file is not ready yet; look again" if waiting else f"The export is {row.state}; it has no file",
        {"state": row.state},
        retry_after_s=NOT_READY_RETRY_S if waiting else None,
    )


def _headers(row: ExportRow) -> Headers:
    filename = f"export-{row.created_at.date().isoformat()}.{row.format}"
    return [
        (b"etag", f'"{row.id}"'.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, no-cache"),
        (b"content-type", MEDIA_TYPES[row.format]),
        (b"content-disposition", f'attachment; filename="{filename}"'.encode()),
    ]


def wanted_range(call: Call, key: str, size_bytes: int) -> tuple[int, int] | None:
    """First byte and the one after the last, by RFC 9110; None for all: several ranges, or of what was before."""
    if (header(call.scope, b"if-range") or f'"{key}"'.encode()) != f'"{key}"'.encode():
        return None
    match = _RANGE.fullmatch(header(call.scope, b"range") or b"")
    if match is None or match[0] == b"bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    if last and int(last) < int(first):
        return None
    return int(first), min(size_bytes, int(last) + 1) if last else size_bytes


def _unsatisfiable(size_bytes: int) -> Answer:
    problem = Problem("range_not_satisfiable", f"The file has {size_bytes:,} bytes; ask for some of these")
    answer = problem_answer(problem)
    content_range = (b"content-range", b"bytes */%d" % size_bytes)
    return msgspec.structs.replace(answer, headers=(*answer.headers, content_range))


DOORS = {
    "/v1/exports": Door(
        GET=Operation(list_exports, "documents:read"), POST=Operation(create_export, "documents:read")
    ),
    "/v1/exports/{export_id}": Door(GET=Operation(read_export_state, "documents:read")),
    "/v1/exports/{export_id}/cancel": Door(POST=Operation(cancel_export, "documents:read")),
    "/v1/exports/{export_id}/download": Door(GET=Operation(download_export, "documents:read")),
}
