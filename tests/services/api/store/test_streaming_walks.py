"""A list that is read batch by batch is the list: in every order, by every way, whatever a batch is cut by."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import asyncpg
import pytest

from services.api.store import streaming
from services.api.store.conditions import DocumentFilter
from services.api.store.listing import Span, select_page
from services.api.store.orders import ORDERS, Order
from services.api.store.streaming import Documents, Place, select_batch
from shared.postgres import Connection

ACCOUNT = "acct_1"
TODAY = date(2026, 3, 15)
COUNT = 97
FILL = """
insert into api.documents (
    account_id, id, type, number, status, client_id, client, currency, issued_date, due_date, items, subtotal, tax_rate,
    tax_amount, total, notes, template, created_at, updated_at, body, lapsed
)
select
    case when i % 11 = 0 then 'acct_2' else $1 end, 'doc_' || lpad(to_hex(i * 37 % 101), 34, '0'),
    (array['invoice', 'quote'])[1 + i % 2], case when i % 4 > 0 then 'INV-' || (i * 53 % 97) end,
    case when i % 4 = 0 then 'draft' when i % 4 = 3 then 'paid' else 'sent' end, 'cl_' || i % 3, '{"name": "Acme"}',
    (array['USD', 'EUR', 'JPY'])[1 + i % 3], date '2026-03-01' + i % 9,
    case when i % 5 > 0 then date '2026-03-10' + i % 12 end, '[]', 0, 0, 0, i % 13, 'note ' || i % 6, 'clean',
    now(), now() - (i % 17 || ' hours')::interval, repeat('x', 100),
    i % 4 in (1, 2) and i % 5 > 0 and i % 12 < 3
from generate_series(1, $2::integer) i
"""
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "overdue": {"status": "overdue"},
    "sent": {"status": "sent", "type": "invoice"},
    "paid": {"status": "paid"},
    "client": {"client_id": "cl_1"},
    "client and status": {"client_id": "cl_1", "status": "sent"},
    "currency and dates": {"currency": "EUR", "issued_from": date(2026, 3, 3), "issued_to": date(2026, 3, 6)},
    "due": {"due_to": date(2026, 3, 17)},
    "amounts": {"min_total": Decimal(4), "max_total": Decimal(9)},
    "words": {"q": "note 3"},
    "nothing": {"currency": "GBP", "status": "paid"},
}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    opened = await asyncpg.connect(database_url, server_settings={"timezone": "UTC"})
    await opened.execute(FILL, ACCOUNT, COUNT)
    yield opened
    await opened.close()


async def walked(connection: Connection, kept: DocumentFilter, order: Order) -> list[Documents]:
    batches: list[Documents] = []
    place: Place | None = None
    while not batches or place is not None:
        batches.append(await select_batch(connection, ACCOUNT, kept, order=order, place=place))
        place = batches[-1].place
    return batches


async def listed(connection: Connection, kept: DocumentFilter, order: Order) -> list[str]:
    page = await select_page(connection, ACCOUNT, kept, Span(limit=COUNT, offset=0, order=order))
    return [row.id for row in page.rows]


@pytest.mark.parametrize("few_max", [0, COUNT])
async def test_a_walk_is_the_list_whatever_its_batches_are_cut_by(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, few_max: int
) -> None:
    monkeypatch.setattr(streaming, "FEW_MAX", few_max)
    for fields, order in product(FILTERS.values(), ORDERS.values()):
        kept = DocumentFilter(today=TODAY, **fields)
        expected = await listed(connection, kept, order)
        for rows_max, stretch, bytes_max in (
            (1_000, 10_000, 10**6),
            (3, 7, 10**6),
            (5, 4, 10**6),
            (50, 20, 250),
        ):
            monkeypatch.setattr(streaming, "BATCH_ROWS_MAX", rows_max)
            monkeypatch.setattr(streaming, "STRETCH", stretch)
            monkeypatch.setattr(streaming, "FOUND_MAX", 2 * stretch)
            monkeypatch.setattr(streaming, "BATCH_BYTES_MAX", bytes_max)
            batches = await walked(connection, kept, order)
            assert [row.id for batch in batches for row in batch.found] == expected, (fields, order.name)
            assert all(len(batch.found) <= min(rows_max, bytes_max // 100 + 1) for batch in batches)


async def test_documents_that_go_between_two_batches_take_no_others_with_them(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FEW_MAX", 0)
    monkeypatch.setattr(streaming, "BATCH_ROWS_MAX", 5)
    monkeypatch.setattr(streaming, "STRETCH", 7)
    kept, order = DocumentFilter(today=TODAY, min_total=Decimal(1)), ORDERS["due_date"]
    before = await listed(connection, kept, order)
    seen: list[str] = []
    gone: set[str] = set()
    batch = Documents([], Place())
    while batch.place is not None:
        batch = await select_batch(connection, ACCOUNT, kept, order=order, place=batch.place)
        seen += [row.id for row in batch.found]
        victims = [each for each in before if each not in gone.union(seen)][1:2]
        await connection.execute("delete from api.documents where id = any($1)", [*victims, *seen[-1:]])
        gone.update(victims)
    assert seen == [each for each in before if each not in gone]
    assert len(gone) > 3
