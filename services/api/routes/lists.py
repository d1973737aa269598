"""Lists by page and by cursor: what a query asks for, and the page that answers it."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import ceil
from typing import Any

import msgspec

from services.api.http import bad_parameter
from services.api.store.ids import is_id
from services.api.store.orders import NEWEST, ORDERS, Order, Position, Value
from shared.errors import Problem

PER_PAGE_MAX, PER_PAGE = 100, 25
PAGE_MAX = 10**15 - 1  # times 100 it still is an offset that PostgreSQL can hold
WINDOW_PARAMETERS = ("page", "per_page", "cursor")
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)


class Window(msgspec.Struct, frozen=True):
    """``page`` is None on a cursor's walk; ``after`` is where the cursor stands."""

    page: int | None
    per_page: int
    after: Position | None
    order: Order = NEWEST

    @property
    def offset(self) -> int:
        return 0 if self.page is None else (self.page - 1) * self.per_page

    @property
    def below_id(self) -> str | None:
        """Where the cursor of a list stands that is always newest first."""
        return self.after and self.after.id


def read_window(query: dict[str, str], id_prefix: str, order: Order = NEWEST) -> Window:
    """The part of the list that a query asks for; raises invalid_parameter."""
    per_page = _integer(query, "per_page", PER_PAGE, PER_PAGE_MAX)
    if "cursor" not in query:
        return Window(_integer(query, "page", 1, PAGE_MAX), per_page, None, order)
    if "page" in query:
        raise Problem(
            "invalid_parameter", "Give page or cursor, not both", {"cursor": "Not together with page"}
        )
    return Window(None, per_page, _decode_cursor(query["cursor"], id_prefix, order), order)


def list_body(
    window: Window, found: Sequence[Any], total: int | None, ids: Sequence[str]
) -> dict[str, object]:
    """The documented page of the newest; ``found`` and ``ids`` hold one more than a page when there is more."""
    more = len(ids) > window.per_page
    return page_body(window, found, total, Position(None, ids[window.per_page - 1]) if more else None)


def page_body(
    window: Window, found: Sequence[Any], total: int | None, last: Position | None, *, least: int = 0
) -> dict[str, object]:
    """A page in any order; ``last`` is where it ends when there is more, ``least`` what is known of no total."""
    pagination: dict[str, object] = {
        "page": window.page,
        "per_page": window.per_page,
        "total": total,
        "total_pages": None if total is None else ceil(total / window.per_page),
        "next_cursor": None if last is None else _encode_cursor(window.order, last),
    }
    if total is None:
        pagination["total_is_at_least"] = least
    return {"data": found[: window.per_page], "pagination": pagination}


def choice(query: dict[str, str], name: str, allowed: Sequence[str]) -> str | None:
    """The parameter's value, or None when it is absent; raises invalid_parameter."""
    value = query.get(name)
    if value is None or value in allowed:
        return value
    raise bad_parameter(name, f"Must be one of: {', '.join(allowed)}")


def _integer(query: dict[str, str], name: str, default: int, largest: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= largest:
        raise bad_parameter(name, f"Must be a whole number from 1 to {largest:,}")
    return int(text)


def _encode_cursor(order: Order, place: Position) -> str:
    """The id alone in the order that is everybody's, else the order, the id and the value that is sorted by."""
    text = place.id
    if order is not NEWEST:
        is_sorted = order.name.removeprefix("-") in _READ and place.value is not None
        value = f" {_written(place.value)}" if is_sorted else ""
        text = f"{order.name} {place.id}{value}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, id_prefix: str, order: Order) -> Position:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    name, _, rest = text.partition(" ") if " " in text else (NEWEST.name, "", text)
    place = _place(ORDERS[name], rest, id_prefix) if name in ORDERS else None
    if place is None:
        raise bad_parameter("cursor", "Must be a next_cursor from an earlier answer")
    if name != order.name:
        raise bad_parameter("cursor", "Must be a next_cursor of a list with the same sort")
    return place


def _place(order: Order, text: str, id_prefix: str) -> Position | None:
    last_id, _, written = text.partition(" ")
    if not is_id(last_id, id_prefix):
        return None
    read = _READ.get(order.name.removeprefix("-"))
    if not written:
        return Position(None, last_id) if read is None or len(order.segments) > 1 else None
    if read is None:
        return None
    try:
        return Position(read(written), last_id)
    except ValueError:
        return None


def _written(value: Value | None) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _moment(text: str) -> datetime:
    """Within what PostgreSQL and every time zone can hold."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not 1900 <= moment.year <= 2999:  # noqa: PLR2004 - as a document's dates
        raise ValueError(text)
    return moment


def _number(text: str) -> str:
    if not text.isprintable():
        raise ValueError(text)
    return text


_READ: dict[str, Callable[[str], Value]] = {
    "issued_date": date.fromisoformat,
    "due_date": date.fromisoformat,
    "total": _decimal,
    "number": _number,
    "updated_at": _moment,
}
