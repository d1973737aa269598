"""The form of new documents that most bodies have, read by types in one go; whatever else there is the rules read.

What is read here would pass the rules of its texts and dates; all other values are as they came.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.api.domain.rules import DATE_FIRST, DATE_LAST

ITEMS_MAX = 5_000
CLIENT_ID_CHARS_MAX = 100
TITLE_CHARS_MAX = 500
DESCRIPTION_CHARS_MAX = 5_000
NOTES_CHARS_MAX = 10_000
# The one character that JSON can hold and PostgreSQL cannot.
_NUL, _BACKSLASH = b"\\u0000", ord("\\")


class OrdinaryLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    title: Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
    quantity: Any
    rate: Any
    description: Annotated[str, Meta(max_length=DESCRIPTION_CHARS_MAX)] | None = None


class Ordinary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """None is as good as absent, but for ``due_date``."""

    type: Any
    client_id: Annotated[str, Meta(min_length=1, max_length=CLIENT_ID_CHARS_MAX)]
    items: Annotated[list[OrdinaryLine], Meta(min_length=1, max_length=ITEMS_MAX)]
    status: Any = None
    currency: Any = None
    issued_date: date | None = None
    due_date: date | UnsetType | None = UNSET
    tax_rate: Any = None
    notes: Annotated[str, Meta(max_length=NOTES_CHARS_MAX)] | None = None
    template: Any = None
    locale: Any = None
    page_size: Any = None
    external_id: Any = None
    metadata: Any = None


_decode = msgspec.json.Decoder(Ordinary, float_hook=Decimal).decode


def read_ordinary(body: bytes | msgspec.Raw) -> Ordinary | None:
    written = memoryview(body).tobytes()
    if written.find(_BACKSLASH) >= 0 and _NUL in written:
        return None
    try:
        read = _decode(written)
    except (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, RecursionError):
        return None
    blank = read.client_id.isspace() or any(line.title.isspace() for line in read.items)
    return None if blank or not (_is_usual(read.issued_date) and _is_usual(read.due_date)) else read


def _is_usual(day: date | UnsetType | None) -> bool:
    return not isinstance(day, date) or DATE_FIRST <= day <= DATE_LAST
