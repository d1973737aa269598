"""The statements that lists are composed of: each prepares, stays within the account, and takes its values."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import asyncpg

from services.api.domain.lifecycle import STATUSES
from services.api.store.conditions import CONDITIONS, STATUS_IS
from services.api.store.listing import (
    DocumentFilter,
    Span,
    choice_pieces,
    composed,
    found_pieces,
    page_pieces,
    total_pieces,
)
from services.api.store.orders import ORDERS, Order, Position, Segment, Value
from services.api.store.walks import SHOWN, Step, is_merged, step_pieces

TODAY = date(2026, 3, 1)
FILTERS = [
    DocumentFilter(type=kind, status=status, today=TODAY)
    for kind, status in product((None, "invoice"), (None, *STATUSES))
]
OTHERS: dict[str, Any] = {
    "ids": ("doc_x",),
    "external_id": "x",
    "client_id": "cl_x",
    "number": "INV-2026-000001",
    "currency": "EUR",
    "issued_from": TODAY,
    "issued_to": TODAY,
    "due_from": TODAY,
    "due_to": TODAY,
    "min_total": Decimal(1),
    "max_total": Decimal(1),
    "updated_since": datetime(2026, 3, 1, tzinfo=UTC),
    "q": "some words",
}
SINGLE = [DocumentFilter(today=TODAY, **{name: value}) for name, value in OTHERS.items()]
WHOLE = DocumentFilter(today=TODAY, type="invoice", status="overdue", **OTHERS)
SPANS = [
    Span(after=after, limit=26, offset=offset)
    for after, offset in ((None, 0), (None, 50), (Position(None, "doc_x"), 0))
]
PAGES = dict(composed(page_pieces(kept, span)) for kept, span in product(FILTERS, SPANS))
TOTALS = dict(composed([("select", ()), *total_pieces(kept)]) for kept in FILTERS)
FOUND = dict(
    composed(pieces)
    for kept in (*FILTERS, *SINGLE, WHOLE)
    for pieces in (found_pieces(kept), choice_pieces(kept, 10))
)
VALUES: dict[str, Value] = {
    "d.id": "doc_x",
    "d.issued_date": TODAY,
    "d.due_date": TODAY,
    "d.total": Decimal(1),
    "d.updated_at": datetime(2026, 3, 1, tzinfo=UTC),
    "d.number": "INV-2026-000001",
}


def steps() -> Iterator[Step]:
    for order in ORDERS.values():
        for segment in order.segments:
            yield from of_segment(order, segment)


def of_segment(order: Order, segment: Segment) -> Iterator[Step]:
    for after in (None, Position(VALUES[segment.key], "doc_x")):
        yield Step(order=order, segment=segment, descending=order.descending, after=after, limit=26, offset=0)


def walks() -> Iterator[tuple[str, list[Any]]]:
    for step, kept, way in product(
        steps(), (*FILTERS, *SINGLE, WHOLE), ("direct", "fenced", "glanced", "matched")
    ):
        yield composed([(f"select {SHOWN}, page.key", ()), *step_pieces(kept, step, way)])
    for step, kept in product(steps(), FILTERS):
        if is_merged(kept, step.order):
            yield composed([(f"select {SHOWN}, page.key", ()), *step_pieces(kept, step, "merged")])


WALKS = dict(walks())
STATEMENTS = PAGES | TOTALS | FOUND | WALKS


def test_every_status_and_every_filter_has_its_condition() -> None:
    assert set(STATUS_IS) == set(STATUSES)
    assert set(CONDITIONS) == {"type", "status", *OTHERS} == set(DocumentFilter.__struct_fields__) - {"today"}


def test_every_page_has_a_statement_of_its_own_but_what_time_changes_is_walked_alike_with_and_without_skipping() -> (
    None
):
    alike = [kept for kept in FILTERS if kept.status in {"sent", "overdue"}]
    assert len(PAGES) == len(FILTERS) * len(SPANS) - len(alike)


async def test_every_combination_prepares_against_the_migrated_schema(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        for statement, values in STATEMENTS.items():
            prepared = await connection.prepare(statement)
            assert len(prepared.get_parameters()) == 1 + len(values), statement
            await prepared.fetch("acct_none", *values)
    finally:
        await connection.close()


def test_each_table_is_asked_for_the_account_alone() -> None:
    for statement in STATEMENTS:
        tables = statement.count("from api.") + statement.count("join api.")
        within = statement.count("account_id = $1") + statement.count("c.account_id = d.account_id")
        assert tables == within, statement
