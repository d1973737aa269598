"""The orders of a list of documents, each walked in an index from where a cursor stands.

An order is one segment or two: documents that lack what it sorts by come last, whichever way it goes.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

Value = date | datetime | Decimal | str


class Position(msgspec.Struct, frozen=True):
    """Where a cursor stands: on the document with this id, whose sorted value is this, None where it has none."""

    value: Value | None
    id: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Literal pieces of a statement: what is kept, what stands above or below a position, and the order itself.

    ``stands`` names what of the position the question marks are; ``shown`` is what the index holds of a page.
    """

    key: str
    shown: str
    where: str = ""
    above: str
    below: str
    up: str
    down: str
    stands: tuple[str, ...] = ("value", "id")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """``within`` are the filters that its index itself serves."""

    name: str
    descending: bool
    segments: tuple[Segment, ...]
    within: frozenset[str] = frozenset()

    def starts(self, after: Position | None) -> tuple[Segment, ...]:
        """The segments that are left from a position on."""
        bare = after is not None and after.value is None and len(self.segments) > 1
        return self.segments[1:] if bare else self.segments


def values_at(segment: Segment, position: Position) -> tuple[Any, ...]:
    return tuple(getattr(position, name) for name in segment.stands)


_BY_ID = Segment(
    key="d.id",
    shown="d.id, d.id as key",
    above="and d.id > ?::text",
    below="and d.id < ?::text",
    up="order by d.id",
    down="order by d.id desc",
    stands=("id",),
)
_BY_ISSUED_DATE = Segment(
    key="d.issued_date",
    shown="d.id, d.issued_date as key",
    above="and (d.issued_date, d.id) > (?::date, ?::text)",
    below="and (d.issued_date, d.id) < (?::date, ?::text)",
    up="order by d.issued_date, d.id",
    down="order by d.issued_date desc, d.id desc",
)
_BY_DUE_DATE = Segment(
    key="d.due_date",
    shown="d.id, d.due_date as key",
    where="and d.due_date is not null",
    above="and (d.due_date, d.id) > (?::date, ?::text)",
    below="and (d.due_date, d.id) < (?::date, ?::text)",
    up="order by d.due_date, d.id",
    down="order by d.due_date desc, d.id desc",
)
# The index holds them by id, since they are alike in the rest.
_WITHOUT_DUE_DATE = Segment(
    key="d.due_date",
    shown="d.id, d.due_date as key",
    where="and d.due_date is null",
    above="and d.id > ?::text",
    below="and d.id < ?::text",
    up="order by d.due_date, d.id",
    down="order by d.due_date desc, d.id desc",
    stands=("id",),
)
_BY_TOTAL = Segment(
    key="d.total",
    shown="d.id, d.total as key",
    above="and (d.total, d.id) > (?::numeric, ?::text)",
    below="and (d.total, d.id) < (?::numeric, ?::text)",
    up="order by d.total, d.id",
    down="order by d.total desc, d.id desc",
)
_BY_UPDATE = Segment(
    key="d.updated_at",
    shown="d.id, d.updated_at as key",
    above="and (d.updated_at, d.id) > (?::timestamptz, ?::text)",
    below="and (d.updated_at, d.id) < (?::timestamptz, ?::text)",
    up="order by d.updated_at, d.id",
    down="order by d.updated_at desc, d.id desc",
)
# No two documents share it. What is ordered by stays the same when it is ordered again, as where a cursor holds it.
_BY_NUMBER = Segment(
    key="d.number",
    shown='d.id, api.number_order(d.number) collate "C" as key',
    where="and d.number is not null",
    above='and api.number_order(d.number) collate "C" > api.number_order(?::text)',
    below='and api.number_order(d.number) collate "C" < api.number_order(?::text)',
    up='order by api.number_order(d.number) collate "C"',
    down='order by api.number_order(d.number) collate "C" desc',
    stands=("value",),
)
_WITHOUT_NUMBER = Segment(
    key="d.number",
    shown="d.id, d.number as key",
    where="and d.number is null",
    above="and d.id > ?::text",
    below="and d.id < ?::text",
    up="order by d.id",
    down="order by d.id desc",
    stands=("id",),
)
_SORTS: dict[str, tuple[tuple[Segment, ...], tuple[str, ...]]] = {
    "created_at": ((_BY_ID,), ()),
    "issued_date": ((_BY_ISSUED_DATE,), ("issued_from", "issued_to")),
    "due_date": ((_BY_DUE_DATE, _WITHOUT_DUE_DATE), ("due_from", "due_to")),
    "total": ((_BY_TOTAL,), ("min_total", "max_total")),
    "number": ((_BY_NUMBER, _WITHOUT_NUMBER), ()),
    "updated_at": ((_BY_UPDATE,), ("updated_since",)),
}


def _orders() -> Iterator[Order]:
    for name, (segments, within) in _SORTS.items():
        for sign in ("", "-"):
            yield Order(name=sign + name, descending=bool(sign), segments=segments, within=frozenset(within))


ORDERS = {order.name: order for order in _orders()}
NEWEST = ORDERS["-created_at"]
