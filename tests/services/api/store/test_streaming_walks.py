"""A list that is read batch by batch is the list: in every order, by every way, whatever a batch is cut by."""

from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from varied import ACCOUNT, COUNT, TODAY

from services.api.store import streaming
from services.api.store.conditions import DocumentFilter
from services.api.store.listing import Span, select_page
from services.api.store.orders import ORDERS, Order
from services.api.store.streaming import Documents, Place, select_batch
from shared.postgres import Connection

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
