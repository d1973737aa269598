"""Lists by page and by cursor: what a query asks for, and the page that answers it."""

import base64
import binascii
import re
from collections.abc import Sequence
from math import ceil
from typing import Any

import msgspec

from services.api.http import bad_parameter
from services.api.store.ids import is_id
from shared.errors import Problem

PER_PAGE_MAX, PER_PAGE = 100, 25
PAGE_MAX = 10**15 - 1  # times 100 it still is an offset that PostgreSQL can hold
WINDOW_PARAMETERS = ("page", "per_page", "cursor")
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)


class Window(msgspec.Struct, frozen=True):
    """``page`` is None on a cursor's walk; ``below_id`` is where the cursor stands."""

    page: int | None
    per_page: int
    below_id: str | None

    @property
    def offset(self) -> int:
        return 0 if self.page is None else (self.page - 1) * self.per_page


def read_window(query: dict[str, str], id_prefix: str) -> Window:
    """The part of the list that a query asks for; raises invalid_parameter."""
    per_page = _integer(query, "per_page", PER_PAGE, PER_PAGE_MAX)
    if "cursor" not in query:
        return Window(_integer(query, "page", 1, PAGE_MAX), per_page, None)
    if "page" in query:
        raise Problem(
            "invalid_parameter", "Give page or cursor, not both", {"cursor": "Not together with page"}
        )
    return Window(None, per_page, _decode_cursor(query["cursor"], id_prefix))


def list_body(window: Window, found: Sequence[Any], total: int, ids: Sequence[str]) -> dict[str, object]:
    """The documented page; ``found`` and ``ids`` hold one more than a page when there is more."""
    more = len(ids) > window.per_page
    return {
        "data": found[: window.per_page],
        "pagination": {
            "page": window.page,
            "per_page": window.per_page,
            "total": total,
            "total_pages": ceil(total / window.per_page),
            "next_cursor": _encode_cursor(ids[window.per_page - 1]) if more else None,
        },
    }


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


def _encode_cursor(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, id_prefix: str) -> str:
    try:
        last_id = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        last_id = ""
    if not is_id(last_id, id_prefix):
        raise bad_parameter("cursor", "Must be a next_cursor from an earlier answer")
    return last_id
