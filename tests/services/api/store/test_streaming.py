"""The statements that read a list in full: each prepares, and stays within the account."""

from datetime import date
from itertools import product

import asyncpg
import pytest

from services.api.domain.lifecycle import STATUSES
from services.api.store.listing import DocumentFilter, composed
from services.api.store.streaming import batch_pieces

FILTERS = [
    DocumentFilter(type=kind, status=status, today=date(2026, 3, 1))
    for kind, status in product((None, "invoice"), (None, *STATUSES))
]
BATCHES = dict(composed(batch_pieces(kept, below)) for kept, below in product(FILTERS, (None, "doc_x")))


def test_every_batch_has_a_statement_of_its_own() -> None:
    assert len(BATCHES) == 2 * len(FILTERS)


@pytest.mark.parametrize("statement", BATCHES)
async def test_a_batch_prepares_against_the_migrated_schema(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        prepared = await connection.prepare(statement)
        assert len(prepared.get_parameters()) == 1 + len(BATCHES[statement])
        await prepared.fetch("acct_none", *BATCHES[statement])
    finally:
        await connection.close()


@pytest.mark.parametrize("statement", BATCHES)
def test_each_table_is_asked_for_the_account_alone(statement: str) -> None:
    tables = statement.count("from api.") + statement.count("join api.")
    assert tables == statement.count("account_id = $1") + statement.count("c.account_id = d.account_id")
