"""`python -m tests.bench.floor`: what the machine can do. No framework, key, limit or count: SQL in, bytes out.

It has the gateway's server options and the driver's pool as it comes, which cleans each connection that is given back
by a query of its own; with FLOOR_POOL=kept it has the gateway's pool, which does not. It runs the gateway's own
statements by its store, whose functions do nothing else. What it writes is valid, but was decided beforehand: nothing
of a body is checked or computed.
"""

import base64
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from math import ceil

import msgspec
import uvicorn
from starlette.types import Receive, Scope, Send

from services.api.app import STATEMENT_TIMEOUT_S
from services.api.domain.numbering import document_number
from services.api.routes.bodies import shown_body
from services.api.settings import Settings
from services.api.store.documents import (
    DocumentRow,
    insert_document,
    select_document_for_update,
    select_shown,
    update_document,
)
from services.api.store.ids import new_id
from services.api.store.listing import DocumentFilter, Span, select_page
from services.api.store.numbers import take_number
from shared.postgres import Connection, Pool, acquired, open_pool

PATH = "/v1/documents"
PER_PAGE = 25
CLIENT = '"client":'
CONNECTIONS = next(
    field.default for field in msgspec.structs.fields(Settings) if field.name == "database_connections_max"
)

Borrow = Callable[[], AbstractAsyncContextManager[Connection]]

decode = msgspec.json.Decoder().decode


class Pattern(msgspec.Struct, frozen=True):
    """A draft that others are made like; ``body`` is its JSON as stored."""

    row: DocumentRow
    body: str


class Floor:
    """The documents of one account, for whoever asks."""

    def __init__(self, borrowed: Borrow, account_id: str, pattern: Pattern) -> None:
        self._borrowed = borrowed
        self._account_id = account_id
        self._pattern = pattern

    async def read(self, document_id: str, _body: bytes) -> tuple[int, bytes]:
        async with self._borrowed() as connection:
            shown = await select_shown(connection, self._account_id, document_id)
        assert shown
        return 200, shown_body(shown, datetime.now(UTC).date())

    async def list(self, _document_id: str, _body: bytes) -> tuple[int, bytes]:
        """The 25 newest, the only list that there is."""
        today = datetime.now(UTC).date()
        kept = DocumentFilter(type=None, status=None, today=today)
        span = Span(limit=PER_PAGE + 1, offset=0)
        async with self._borrowed() as connection:
            page = await select_page(connection, self._account_id, kept, span)
        total, rows = page.least, page.rows
        cursor = base64.urlsafe_b64encode(rows[PER_PAGE - 1].id.encode()).rstrip(b"=")
        found = b",".join([shown_body(row, today) for row in rows[:PER_PAGE]])
        return 200, (
            b'{"data":[%b],"pagination":{"page":1,"per_page":%d,"total":%d,"total_pages":%d,"next_cursor":"%b"}}'
            % (found, PER_PAGE, total, ceil(total / PER_PAGE), cursor)
        )

    async def create(self, _document_id: str, body: bytes) -> tuple[int, bytes]:
        decode(body)
        held, document_id = self._pattern, new_id("doc")
        row = msgspec.structs.replace(held.row, id=document_id, created_at=datetime.now(UTC))
        head, name, tail = held.body.replace(held.row.id, document_id).partition(CLIENT)
        tail = tail.removeprefix("null")
        async with self._borrowed() as connection:
            client = await insert_document(connection, self._account_id, row, (head + name, tail))
        assert client
        return 201, f"{head}{name}{client}{tail}".encode()

    async def send(self, document_id: str, body: bytes) -> tuple[int, bytes]:
        """A draft that is like the pattern becomes sent."""
        decode(body)
        held, now = self._pattern, datetime.now(UTC)
        async with self._borrowed() as connection, connection.transaction():
            row = await select_document_for_update(connection, self._account_id, document_id)
            assert row
            year = row.issued_date.year
            sequence = await take_number(connection, self._account_id, row.type, year)
            number = document_number(row.type, year, sequence)
            sent = msgspec.structs.replace(row, status="sent", number=number, updated_at=now)
            text = held.body.replace(held.row.id, document_id).replace("null", f'"{number}"', 1)
            text = text.replace("draft", "sent", 1).replace(f"{CLIENT}null", f"{CLIENT}{row.client}", 1)
            await update_document(connection, self._account_id, sent, text)
        return 200, text.encode()


class App:
    """The ASGI application: two paths, and a pool while it lives."""

    def __init__(self, database_url: str, account_id: str, pattern_id: str, *, keeps: bool) -> None:
        self._database_url = database_url
        self._keeps = keeps
        self._account_id = account_id
        self._pattern_id = pattern_id
        self._handlers: dict[tuple[str, bool], Callable[[str, bytes], Awaitable[tuple[int, bytes]]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        method, document_id = scope["method"], scope["path"][len(PATH) + 1 :]
        body = b"" if method == "GET" else (await receive())["body"]
        status, answer = await self._handlers[method, document_id != ""](document_id, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        pool = await open_pool(
            self._database_url,
            size_max=CONNECTIONS,
            statement_timeout_s=STATEMENT_TIMEOUT_S,
            sessions_matter=not self._keeps,
        )
        borrowed = partial(acquired, pool) if self._keeps else pool.acquire
        floor = Floor(borrowed, self._account_id, await self._pattern(pool))
        self._handlers = {
            ("GET", True): floor.read,
            ("GET", False): floor.list,
            ("POST", False): floor.create,
            ("PUT", True): floor.send,
        }
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _pattern(self, pool: Pool) -> Pattern:
        async with acquired(pool) as connection:
            shown = await select_shown(connection, self._account_id, self._pattern_id)
            row = await select_document_for_update(connection, self._account_id, self._pattern_id)
        assert shown
        assert shown.body
        assert row
        return Pattern(row, shown.body)


def main() -> None:
    given = os.environ
    uvicorn.run(
        App(
            given["DATABASE_URL"],
            given["FLOOR_ACCOUNT"],
            given["FLOOR_PATTERN"],
            keeps=given.get("FLOOR_POOL") == "kept",
        ),
        host="127.0.0.1",
        port=int(given["PORT"]),
        http="httptools",
        loop="uvloop",
        ws="none",
        proxy_headers=False,
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
