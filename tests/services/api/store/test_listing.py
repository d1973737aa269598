"""The statements that lists are composed of: each prepares, stays within the account, and takes its values."""

from datetime import date
from itertools import product

import asyncpg
import pytest

from services.api.domain.lifecycle import STATUSES
from services.api.store.listing import (
    STATUS_IS,
    DocumentFilter,
    Span,
    composed,
    page_pieces,
    total_pieces,
)

TODAY = date(2026, 3, 1)
FILTERS = [
    DocumentFilter(type=kind, status=status, today=TODAY)
    for kind, status in product((None, "invoice"), (None, *STATUSES))
]
SPANS = [
    Span(below_id=below_id, limit=26, offset=offset)
    for below_id, offset in ((None, 0), (None, 50), ("doc_x", 0))
]
PAGES = dict(composed(page_pieces(kept, span)) for kept, span in product(FILTERS, SPANS))
TOTALS = dict(composed([("select", ()), *total_pieces(kept)]) for kept in FILTERS)
STATEMENTS = PAGES | TOTALS


def test_every_status_has_its_condition() -> None:
    assert set(STATUS_IS) == set(STATUSES)


def test_every_page_has_a_statement_of_its_own() -> None:
    assert len(PAGES) == len(FILTERS) * len(SPANS)


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_combination_prepares_against_the_migrated_schema(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        prepared = await connection.prepare(statement)
        assert len(prepared.get_parameters()) == 1 + len(STATEMENTS[statement])
        await prepared.fetch("acct_none", *STATEMENTS[statement])
    finally:
        await connection.close()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_each_table_is_asked_for_the_account_alone(statement: str) -> None:
    tables = statement.count("from api.") + statement.count("join api.")
    assert tables == statement.count("account_id = $1") + statement.count("c.account_id = d.account_id")
