"""What a field of a body may hold: one small rule per kind of value, and a reader that names every broken field.

A rule takes the decoded JSON value and gives back the value to keep, or raises Broken.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from services.api.domain.money import EXACT, ZERO, shortest
from shared.errors import Problem

REQUIRED = "This field is required"
UNKNOWN = "Unknown field"
DECIMALS_MAX = 6
_MAGNITUDE_END = 10**12
MAGNITUDE_END = Decimal(_MAGNITUDE_END)
PERCENT_MAX = 100
DATE_FIRST, DATE_LAST = date(1900, 1, 1), date(2999, 12, 31)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DIGITS = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL cannot hold these
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_EMAIL = re.compile(r"[^@\s\x00-\x20\x7f]{1,64}@[^@\s\x00-\x20\x7f.]+(\.[^@\s\x00-\x20\x7f.]+)+")

Rule = Callable[[Any], Any]


class Broken(Exception):  # noqa: N818 - a broken rule, collected and never shown as an exception
    """``faults`` maps a path below the field ("" is the field itself) to a sentence."""

    def __init__(self, sentence: str = "", faults: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.faults = faults if faults is not None else {"": sentence}


def read_fields(body: object, rules: Mapping[str, Rule], required: Collection[str] = ()) -> dict[str, Any]:
    """The values that ``body`` names, each through its rule; raises validation_error with all the broken fields."""
    values, faults = check_fields(require_object(body), rules, required)
    if faults:
        raise validation_error(faults)
    return values


def require_object(body: object) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    raise Problem("validation_error", "The body must be a JSON object")


def check_fields(
    body: Mapping[str, Any], rules: Mapping[str, Rule], required: Collection[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name in required:
        if body.get(name) is None:
            faults[name] = REQUIRED
    for name, value in body.items():
        if name in faults:
            continue
        rule = rules.get(name)
        if rule is None:
            faults[shown(name)] = UNKNOWN
            continue
        try:
            values[name] = rule(value)
        except Broken as broken:
            faults.update({f"{name}{path}": sentence for path, sentence in broken.faults.items()})
    return values, faults


def validation_error(faults: Mapping[str, str]) -> Problem:
    return Problem("validation_error", _summary(faults), dict(faults))


def _summary(faults: Mapping[str, str]) -> str:
    if len(faults) > 1:
        return f"{len(faults)} fields are not valid; details names each"
    ((path, sentence),) = faults.items()
    if sentence == REQUIRED:
        return f"The {path} field is required"
    return f"The {path} field is not valid: {sentence}"


def shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()[:200].replace("\x00", "\\u0000")


def text(*, chars_max: int, chars_min: int = 0) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, str):
            raise Broken("Must be text")
        if _UNSTORABLE.search(value):
            raise Broken("Must not contain the character U+0000 or half a surrogate pair")
        if chars_min and not value.strip():
            raise Broken("Must not be empty")
        if len(value) > chars_max:
            raise Broken(f"Must be at most {chars_max:,} characters long")
        return value

    return rule


def optional(rule: Rule, absent: Any = None) -> Rule:
    """Null means ``absent``."""
    return lambda value: absent if value is None else rule(value)


def optional_text(rule: Rule) -> Rule:
    """Null and empty text both mean that there is none: forms send what was left empty."""
    return lambda value: None if value is None or value == "" else rule(value)


def one_of(allowed: Collection[str]) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Broken(f"Must be one of: {', '.join(allowed)}")
        return value

    return rule


def currency(codes: Collection[str]) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, str) or value not in codes:
            raise Broken("Must be an ISO 4217 currency code in capitals, such as USD")
        return value

    return rule


def email(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 254 or not _EMAIL.fullmatch(value):  # noqa: PLR2004 - RFC 5321
        raise Broken("Must be an email address, such as jane@acme.example")
    return value


def time_zone(value: Any) -> str:
    if not isinstance(value, str) or value not in _time_zones():
        raise Broken("Must be an IANA time zone, such as Europe/Paris")
    return value


@cache
def _time_zones() -> set[str]:
    return available_timezones()


def colour(value: Any) -> str:
    """In small letters."""
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise Broken("Must be a colour in the form #rrggbb, such as #1a7f5a")
    return value.lower()


def day(value: Any) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise Broken("Must be a date in the form YYYY-MM-DD")
    try:
        given = date.fromisoformat(value)
    except ValueError:
        raise Broken("Must be a date that exists, in the form YYYY-MM-DD") from None
    if not DATE_FIRST <= given <= DATE_LAST:
        raise Broken(f"Must be from {DATE_FIRST} to {DATE_LAST}")
    return given


def amount(value: Any) -> Decimal:
    """A quantity or a rate: a JSON number or a string of digits, kept exactly as given."""
    if value.__class__ is int and -_MAGNITUDE_END < value < _MAGNITUDE_END:  # as most are
        return Decimal(value)
    number = _number(value)
    if not -MAGNITUDE_END < number < MAGNITUDE_END:  # compared, not computed with: an exponent may be huge
        raise Broken(f"Must be between -{MAGNITUDE_END:,} and {MAGNITUDE_END:,}, both excluded")
    return _plain(number, DECIMALS_MAX)


def percentage(value: Any) -> Decimal:
    if value.__class__ is int and 0 <= value <= PERCENT_MAX:
        return Decimal(value)
    number = _number(value)
    if not 0 <= number <= PERCENT_MAX:
        raise Broken(f"Must be from 0 to {PERCENT_MAX}")
    return _plain(number, DECIMALS_MAX)


def _number(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        raise Broken("Must be a number")
    if isinstance(value, int) or (isinstance(value, str) and _DIGITS.fullmatch(value)):
        return Decimal(value)
    raise Broken("Must be a number")


def _plain(number: Decimal, decimals_max: int) -> Decimal:
    """As given where that is plain; an exponent or surplus zeros are written out, surplus digits refused."""
    if not number:
        return ZERO
    digits = str(number)
    point = digits.find(".")
    if "E" not in digits and (point < 0 or len(digits) - point - 1 <= decimals_max):
        return number
    rounded = number.quantize(Decimal(1).scaleb(-decimals_max), context=EXACT)
    if rounded != number:
        raise Broken(f"Must have at most {decimals_max} decimals")
    return shortest(rounded)
