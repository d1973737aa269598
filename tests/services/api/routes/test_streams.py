"""What a stream holds while it is read: memory for two batches, and no connection while its reader takes its time."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from streamed import COPY

from services.api.auth import SCOPES
from services.api.call import Call
from services.api.http import Answer
from services.api.routes.bodies import body_around_client
from services.api.routes.streams import DOCUMENTS_CSV, NDJSON, Form, export_documents
from services.api.store.clients import ClientRow, insert_client
from services.api.store.documents import DocumentRow, insert_document
from services.api.store.ids import new_id
from services.api.store.keys import Principal
from services.api.store.streaming import BATCH_BYTES_MAX, BATCH_ROWS_MAX
from services.api.streams import Streams
from shared.postgres import Pool, open_pool

ACCOUNT = "acct_1"
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ZERO = Decimal(0)
FEW, MANY = 5_000, 50_000
LOOKS_MAX = 500
PRINCIPAL = Principal("key_1", ACCOUNT, frozenset(SCOPES), None, 0, "EUR", "clean", "UTC")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, size_max=4, statement_timeout_s=10)
    yield opened
    await opened.close()


async def stock(pool: Pool, copies: int, *, items: str = "[]") -> None:
    """A draft and so many copies of it."""
    client = ClientRow(new_id("cl"), '{"name": "Acme"}', NOW, NOW)
    day = date(2026, 3, 1)
    row = DocumentRow(
        new_id("doc"), "invoice", None, "draft", client.id, "", "EUR", day, None, items, ZERO, ZERO, ZERO, ZERO,
        "N" * 500, "clean", None, None, NOW, NOW,
    )  # fmt: skip
    async with pool.acquire() as connection:
        await insert_client(connection, ACCOUNT, client)
        await insert_document(connection, ACCOUNT, row, body_around_client(row))
        await connection.execute(COPY, ACCOUNT, row.id, copies)


def streams() -> Streams:
    return Streams(most=6, of_account=2)


def call_on(pool: Pool, streams: Streams) -> Call:
    state = {"pool": pool, "streams": streams}
    return Call(cast("Any", {"state": state, "query_string": b""}), PRINCIPAL, b"")


def stream_of(answer: Answer) -> AsyncGenerator[bytes]:
    assert isinstance(answer.stream, AsyncGenerator)
    return answer.stream


async def peak_bytes(pool: Pool, form: Form) -> int:
    """The most memory that a stream has at any time while it is read to its end."""
    stream = stream_of(await export_documents(call_on(pool, streams()), form))
    tracemalloc.start()
    async for _ in stream:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("form", [NDJSON, DOCUMENTS_CSV], ids=["ndjson", "csv"])
async def test_ten_times_the_documents_take_no_more_memory(pool: Pool, form: Form) -> None:
    await stock(pool, FEW)
    few = await peak_bytes(pool, form)
    async with pool.acquire() as connection:
        ((document_id,),) = await connection.fetch("select id from api.documents order by id desc limit 1")
        await connection.execute("delete from api.documents where id <> $1", document_id)
        await connection.execute(COPY, ACCOUNT, document_id, MANY)
    assert await peak_bytes(pool, form) < few + BATCH_BYTES_MAX


async def test_large_documents_are_read_by_their_bytes(pool: Pool) -> None:
    await stock(pool, 19, items='["' + "x" * 500_000 + '"]')
    assert await peak_bytes(pool, NDJSON) < 12 * BATCH_BYTES_MAX


async def test_a_waiting_reader_holds_no_connection_and_has_one_batch_read_ahead(pool: Pool) -> None:
    await stock(pool, 5 * BATCH_ROWS_MAX)
    stream = stream_of(await export_documents(call_on(pool, streams()), NDJSON))
    await anext(stream)
    for _ in range(LOOKS_MAX):
        if pool.get_idle_size() == pool.get_size():
            break
        await asyncio.sleep(0.01)
    assert pool.get_idle_size() == pool.get_size() > 0
    async with pool.acquire() as connection:
        deleted = await connection.execute("delete from api.documents")
    assert deleted == f"DELETE {5 * BATCH_ROWS_MAX + 1}"
    rest = b"".join([chunk async for chunk in stream])
    assert rest.count(b"\n") == 2 * BATCH_ROWS_MAX - 100
