"""A search of a long list, which is looked at before it is counted, shows the same as one that is counted first."""

from itertools import product
from typing import Any

import pytest
from varied import ACCOUNT, TODAY

from services.api.store import listing, walks
from services.api.store.conditions import DocumentFilter
from services.api.store.listing import Span, select_page
from services.api.store.orders import ORDERS, Position
from services.api.store.walks import GLANCE_MAX
from shared.postgres import Connection

SEARCHES: dict[str, dict[str, Any]] = {
    "all": {"q": "note"},
    "some": {"q": "note 3"},
    "none": {"q": "nobody"},
    "overdue": {"q": "acme", "status": "overdue"},
    "sent": {"q": "acm", "status": "sent", "type": "invoice"},
    "in a currency": {"q": "note", "currency": "EUR"},
    "of a client": {"q": "note", "client_id": "cl_1"},
}


SPANS = [
    *(
        Span(limit=limit, offset=offset, order=order)
        for limit, offset, order in product((4, 26), (0, 4), ORDERS.values())
    ),
    Span(limit=4, offset=0, after=Position(None, "doc_" + f"{50:034x}")),
]


@pytest.mark.parametrize("entries", [5, GLANCE_MAX])
@pytest.mark.parametrize("fields", SEARCHES.values(), ids=SEARCHES)
async def test_a_search_of_a_long_list_shows_the_same(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, entries: int, fields: dict[str, Any]
) -> None:
    monkeypatch.setattr(walks, "GLANCE_MAX", entries)
    kept, uncounted = DocumentFilter(today=TODAY, **fields), 0
    for span in SPANS:
        counted = await select_page(connection, ACCOUNT, kept, span)
        with monkeypatch.context() as long:
            long.setattr(listing, "SEARCH_COUNTED_MAX", 0)
            glanced = await select_page(connection, ACCOUNT, kept, span)
        assert glanced.rows == counted.rows, span
        assert glanced.total in (None, counted.total)
        assert glanced.least <= counted.least
        uncounted += glanced.total is None
    if entries == GLANCE_MAX:
        assert (uncounted > 0) == (fields["q"] != "nobody")
