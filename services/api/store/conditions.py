"""What a list of documents may ask for, as literal pieces of statements whose values are always parameters."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import chain, count
from typing import Any

import msgspec


class DocumentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows; ``today`` decides which sent documents are overdue, and bounds are inclusive."""

    today: date
    type: str | None = None
    status: str | None = None
    ids: tuple[str, ...] | None = None
    external_id: str | None = None
    client_id: str | None = None
    number: str | None = None
    currency: str | None = None
    issued_from: date | None = None
    issued_to: date | None = None
    due_from: date | None = None
    due_to: date | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    updated_since: datetime | None = None
    q: str | None = None

    def names(self) -> frozenset[str]:
        """Of what the filter asks for."""
        return frozenset(name for name in CONDITIONS if getattr(self, name) is not None)


# A piece of a statement, and the values for its question marks.
Piece = tuple[str, tuple[Any, ...]]

CONDITIONS = {
    "type": "and d.type = ?::text",
    "status": "",  # one of STATUS_IS
    "ids": "and d.id = any(?::text[])",
    "external_id": "and d.external_id = ?::text",
    "client_id": "and d.client_id = ?::text",
    "number": "and d.number = ?::text",
    "currency": "and d.currency = ?::text",
    "issued_from": "and d.issued_date >= ?::date",
    "issued_to": "and d.issued_date <= ?::date",
    "due_from": "and d.due_date >= ?::date",
    "due_to": "and d.due_date <= ?::date",
    "min_total": "and d.total >= ?::numeric",
    "max_total": "and d.total <= ?::numeric",
    "updated_since": "and d.updated_at >= ?::timestamptz",
    "q": "and d.search @@ api.search_query($1, ?::text)",
}
# What a list's statement asks of a document in each status; the question mark is today. What has lapsed was sent and is
# overdue for good: the indexes keep it apart from all else.
STATUS_IS = {
    "draft": "and d.status = 'draft' and not d.lapsed",
    "sent": "and d.status = 'sent' and not d.lapsed and (d.due_date is null or d.due_date >= ?::date)",
    "overdue": "and d.status = 'sent' and d.due_date < ?::date",
    "paid": "and d.status = 'paid' and not d.lapsed",
    "cancelled": "and d.status = 'cancelled' and not d.lapsed",
}


def condition_pieces(kept: DocumentFilter, names: Iterable[str] | None = None) -> Iterator[Piece]:
    """All that the filter asks for, or what is named of it; the table is called d."""
    asked = kept.names() if names is None else frozenset(names)
    for name, condition in CONDITIONS.items():
        if name == "status" and name in asked and kept.status is not None:
            condition = STATUS_IS[kept.status]  # noqa: PLW2901 - as another status reads
            yield condition, (kept.today,) * condition.count("?")
        elif name in asked:
            yield condition, (getattr(kept, name),)


def composed(pieces: Iterable[Piece]) -> tuple[str, list[Any]]:
    """The statement and its values after the account, which is $1."""
    texts, values = zip(*pieces, strict=True)
    return _numbered(texts), list(chain.from_iterable(values))


@cache
def _numbered(texts: tuple[str, ...]) -> str:
    """One text for each combination, so that the driver finds the statement that it has prepared."""
    numbers = count(2)
    head, *tails = " ".join(texts).split("?")
    return head + "".join(f"${next(numbers)}{tail}" for tail in tails)
