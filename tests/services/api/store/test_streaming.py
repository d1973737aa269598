"""The statements that read a list in full: each prepares, and stays within the account."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

import asyncpg

from services.api.domain.lifecycle import STATUSES
from services.api.store.conditions import CONDITIONS, DocumentFilter, Piece, composed
from services.api.store.orders import ORDERS, Position
from services.api.store.streaming import (
    Place,
    end_pieces,
    few_part_pieces,
    found_pieces,
    newest_pieces,
    part_pieces,
)

TODAY = date(2026, 3, 1)
ID = "doc_" + "0" * 34
VALUES: dict[str, Any] = {
    "type": "invoice", "ids": (ID,), "external_id": "1", "client_id": "cl_1", "number": "INV-1", "currency": "USD",
    "issued_from": TODAY, "issued_to": TODAY, "due_from": TODAY, "due_to": TODAY, "min_total": 1, "max_total": 2,
    "updated_since": datetime(2026, 3, 1, tzinfo=UTC), "q": "words",
}  # fmt: skip
AT: dict[str, Any] = {
    "created_at": ID, "issued_date": TODAY, "due_date": TODAY, "total": 1, "number": "INV-1",
    "updated_at": datetime(2026, 3, 1, tzinfo=UTC),
}  # fmt: skip


def filters() -> Iterator[DocumentFilter]:
    for kind, status in product((None, "invoice"), (None, *STATUSES)):
        yield DocumentFilter(today=TODAY, type=kind, status=status)
    for name, value in VALUES.items():
        yield DocumentFilter(today=TODAY, **{name: value})


def statements() -> Iterator[list[Piece]]:
    for kept in filters():
        for after in (None, Position(ID, ID)):
            yield [*newest_pieces(kept, after)]
        for order, pieces in product(
            ORDERS.values(), (part_pieces, end_pieces, found_pieces, few_part_pieces)
        ):
            for place in places(order.name.removeprefix("-"), len(order.segments)):
                yield [*pieces(kept, order, place)]


def places(sorted_by: str, segments: int) -> Iterator[Place]:
    for after in (None, Position(AT[sorted_by], ID)):
        yield Place(after=after)
    if segments > 1:
        yield Place(after=Position(None, ID), segment=1)


STATEMENTS = dict(map(composed, statements()))


def test_every_filter_is_tried() -> None:
    assert {*VALUES, "status"} == set(CONDITIONS)


async def test_every_batch_prepares_against_the_migrated_schema(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        for statement, values in STATEMENTS.items():
            prepared = await connection.prepare(statement)
            assert len(prepared.get_parameters()) == 1 + len(values)
            await prepared.fetch("acct_none", *values)
    finally:
        await connection.close()


def test_each_table_is_asked_for_the_account_alone() -> None:
    for statement in STATEMENTS:
        tables = statement.count("from api.") + statement.count("join api.")
        assert tables == statement.count("account_id = $1") + statement.count("c.account_id = d.account_id")
