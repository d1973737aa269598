"""Which documents a list shows and in which order: the filters of its query, and nothing of its pages."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from services.api.call import Call
from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.domain.metadata import NO_EXTERNAL_ID, is_external_id
from services.api.domain.money import EXPONENTS
from services.api.domain.rules import DATE_FIRST, DATE_LAST
from services.api.http import bad_parameter
from services.api.routes.lists import choice
from services.api.store.conditions import DocumentFilter
from services.api.store.ids import is_id
from services.api.store.orders import NEWEST, ORDERS, Order

IDS_MAX = 100
NUMBER_CHARS_MAX = 100
Q_CHARS_MAX, Q_WORDS_MAX = 200, 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_AMOUNT = re.compile(r"\d{1,30}(\.\d{1,12})?", re.ASCII)
# A plus sign that nobody has escaped arrives as a space.
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)(?:([Zz])|([+ -])(\d{2}:\d{2}))", re.ASCII
)
# A document's number is a word of its own, which no other document has.
_NUMBER = re.compile(r"\b([A-Za-z]{2,4})-(\d{4})-(\d+)")


def read_filter(call: Call, query: dict[str, str]) -> DocumentFilter:
    """The filter that a query asks for, whose names are known already; raises invalid_parameter."""
    read = {name: rule(query[name]) for name, rule in _RULES.items() if name in query}
    for low, high in (("issued_from", "issued_to"), ("due_from", "due_to"), ("min_total", "max_total")):
        if low in read and high in read and read[low] > read[high]:
            raise bad_parameter(high, f"Must not be below {low}")
    return DocumentFilter(
        today=call.today,
        type=choice(query, "type", tuple(KINDS)),
        status=choice(query, "status", STATUSES),
        **read,
    )


def read_order(query: dict[str, str]) -> Order:
    """Raises invalid_parameter."""
    name = choice(query, "sort", tuple(ORDERS))
    return NEWEST if name is None else ORDERS[name]


def _rule(name: str, read: Callable[[str], Any], sentence: str) -> Callable[[str], Any]:
    """``read`` gives None or raises ValueError for what is not allowed."""

    def rule(text: str) -> Any:
        try:
            value = read(text)
        except ValueError:
            value = None
        if value is None:
            raise bad_parameter(name, sentence)
        return value

    return rule


def _ids(text: str) -> tuple[str, ...] | None:
    ids = tuple(text.split(","))
    return ids if len(ids) <= IDS_MAX and all(is_id(each, "doc") for each in ids) else None


def _client_id(text: str) -> str | None:
    return text if is_id(text, "cl") else None


def _external_id(text: str) -> str | None:
    return text if is_external_id(text) else None


def _number(text: str) -> str | None:
    return text if 1 <= len(text) <= NUMBER_CHARS_MAX and text.isprintable() else None


def _currency(text: str) -> str | None:
    return text if text in EXPONENTS else None


def _day(text: str) -> date | None:
    day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    return day if day is not None and DATE_FIRST <= day <= DATE_LAST else None


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if _AMOUNT.fullmatch(text) else None


def _moment(text: str) -> datetime | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    day, time, zulu, sign, offset = found.groups()
    moment = datetime.fromisoformat(f"{day}T{time}{'+00:00' if zulu else sign.replace(' ', '+') + offset}")
    return moment if DATE_FIRST.year < moment.year < DATE_LAST.year else None


def _q(text: str) -> str | None:
    fits = len(text) <= Q_CHARS_MAX and len(text.split()) <= Q_WORDS_MAX and text.isprintable()
    return _NUMBER.sub(r"\1\2\3", text) if fits and any(map(str.isalnum, text)) else None


_DAYS = "Must be a date such as 2026-03-31, from 1900 to 2999"
_AMOUNTS = "Must be a decimal number that is not negative, such as 1250.50"
_RULES: dict[str, Callable[[str], Any]] = {
    name: _rule(name, read, sentence)
    for name, read, sentence in (
        ("ids", _ids, f"Must be 1 to {IDS_MAX} ids of documents with commas between them"),
        ("external_id", _external_id, NO_EXTERNAL_ID),
        ("client_id", _client_id, "Must be the id of a client"),
        ("number", _number, "Must be a whole number of a document, such as INV-2026-000042"),
        ("currency", _currency, "Must be an ISO 4217 currency code in capitals, such as USD"),
        ("issued_from", _day, _DAYS),
        ("issued_to", _day, _DAYS),
        ("due_from", _day, _DAYS),
        ("due_to", _day, _DAYS),
        ("min_total", _amount, _AMOUNTS),
        ("max_total", _amount, _AMOUNTS),
        (
            "updated_since",
            _moment,
            "Must be a time by RFC 3339, such as 2026-03-31T17:00:00Z; write + as %2B",
        ),
        (
            "q",
            _q,
            f"Must be at most {Q_WORDS_MAX} words and {Q_CHARS_MAX} characters, with a letter or a digit",
        ),
    )
}
FILTER_PARAMETERS = ("type", "status", *_RULES)
