"""Which documents a list shows or an export holds, and a list's order: the filters, and nothing of pages."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from services.api.call import Call
from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.domain.metadata import NO_EXTERNAL_ID, is_external_id
from services.api.domain.money import EXPONENTS
from services.api.domain.rules import DATE_FIRST, DATE_LAST, UNKNOWN, shown
from services.api.http import bad_parameter
from services.api.routes.lists import choice
from services.api.store.conditions import DocumentFilter
from services.api.store.ids import is_id
from services.api.store.orders import NEWEST, ORDERS, Order

IDS_MAX = 100
NUMBER_CHARS_MAX = 100
Q_CHARS_MAX, Q_WORDS_MAX = 200, 10
AMOUNT_DIGITS_MAX = 30
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_AMOUNT = re.compile(rf"\d{{1,{AMOUNT_DIGITS_MAX}}}(\.\d{{1,12}})?", re.ASCII)
# A plus sign that nobody has escaped arrives as a space.
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)(?:([Zz])|([+ -])(\d{2}:\d{2}))", re.ASCII
)
# A document's number is a word of its own, which no other document has.
_NUMBER = re.compile(r"\b([A-Za-z]{2,4})-(\d{4})-(\d+)")


def read_filter(call: Call, query: dict[str, str]) -> DocumentFilter:
    """The filter that a query asks for, whose names are known already; raises invalid_parameter."""
    kept, faults = _checked(call.today, query)
    for name, sentence in faults.items():
        raise bad_parameter(name, sentence)
    return kept


def check_filter(today: date, fields: Mapping[str, Any]) -> tuple[DocumentFilter, dict[str, str]]:
    """The filter that a JSON object asks for by the same names, and what is wrong with it; null is absent.

    Values are as in a query, but that ``ids`` may be a list, and an amount a number.
    """
    given = {name: _WRITTEN.get(name, _text)(value) for name, value in fields.items() if value is not None}
    kept, faults = _checked(today, given)
    unknown = {shown(name): UNKNOWN for name in fields if name not in _RULES}
    return kept, unknown | faults


def _checked(today: date, given: Mapping[str, str]) -> tuple[DocumentFilter, dict[str, str]]:
    """What is right of it, and a sentence for each name that is not."""
    read = {name: rule.read(given[name]) for name, rule in _RULES.items() if name in given}
    faults = {name: _RULES[name].sentence for name, value in read.items() if value is None}
    for low, high in _BOUNDS:
        least, most = read.get(low), read.get(high)
        if least is not None and most is not None and least > most:
            faults[high] = f"Must not be below {low}"
    return DocumentFilter(today=today, **read), faults


def read_order(query: dict[str, str]) -> Order:
    """Raises invalid_parameter."""
    name = choice(query, "sort", tuple(ORDERS))
    return NEWEST if name is None else ORDERS[name]


class _Rule(msgspec.Struct, frozen=True):
    """``find`` gives None or raises ValueError for what is not allowed."""

    find: Callable[[str], Any]
    sentence: str

    def read(self, text: str) -> Any:
        try:
            return self.find(text)
        except ValueError:
            return None


def _text(value: Any) -> str:
    """What is no text reads as none, which breaks every rule."""
    return value if isinstance(value, str) else ""


def _listed(value: Any) -> str:
    return ",".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _plain(value: Any) -> str:
    """A number without its exponent, unless that is there for its own sake."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return _text(value)
    number = Decimal(value)
    return f"{number:f}" if abs(number.adjusted()) < AMOUNT_DIGITS_MAX else ""


def _one_of(allowed: Collection[str]) -> _Rule:
    return _Rule(lambda text: text if text in allowed else None, f"Must be one of: {', '.join(allowed)}")


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
_RULES = {
    "type": _one_of(tuple(KINDS)),
    "status": _one_of(STATUSES),
    "ids": _Rule(_ids, f"Must be 1 to {IDS_MAX} ids of documents with commas between them"),
    "external_id": _Rule(_external_id, NO_EXTERNAL_ID),
    "client_id": _Rule(_client_id, "Must be the id of a client"),
    "number": _Rule(_number, "Must be a whole number of a document, such as INV-2026-000042"),
    "currency": _Rule(_currency, "Must be an ISO 4217 currency code in capitals, such as USD"),
    "issued_from": _Rule(_day, _DAYS),
    "issued_to": _Rule(_day, _DAYS),
    "due_from": _Rule(_day, _DAYS),
    "due_to": _Rule(_day, _DAYS),
    "min_total": _Rule(_amount, _AMOUNTS),
    "max_total": _Rule(_amount, _AMOUNTS),
    "updated_since": _Rule(
        _moment, "Must be a time by RFC 3339, such as 2026-03-31T17:00:00Z; in a URL write + as %2B"
    ),
    "q": _Rule(
        _q, f"Must be at most {Q_WORDS_MAX} words and {Q_CHARS_MAX} characters, with a letter or a digit"
    ),
}
_BOUNDS = (("issued_from", "issued_to"), ("due_from", "due_to"), ("min_total", "max_total"))
# How a JSON body may write what a query holds as text.
_WRITTEN: dict[str, Callable[[Any], str]] = {"ids": _listed, "min_total": _plain, "max_total": _plain}
FILTER_PARAMETERS = tuple(_RULES)
