"""A document's content as a value: read from a body, changed by a body, with its totals always in step."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from services.api.domain.kinds import KINDS
from services.api.domain.metadata import Metadata, own_rules
from services.api.domain.money import EXPONENTS
from services.api.domain.ordinary import (
    CLIENT_ID_CHARS_MAX,
    DESCRIPTION_CHARS_MAX,
    ITEMS_MAX,
    NOTES_CHARS_MAX,
    TITLE_CHARS_MAX,
    Ordinary,
    OrdinaryLine,
    read_ordinary,
)
from services.api.domain.rules import (
    Broken,
    Rule,
    amount,
    check_fields,
    currency,
    day,
    one_of,
    optional,
    percentage,
    require_object,
    text,
    validation_error,
)
from services.api.domain.totals import compute_totals
from shared.locales import LOCALES, PAGE_SIZES

STATUSES_AT_CREATE = ("draft", "sent")
STATUSES_AT_UPDATE = ("draft", "sent", "paid", "cancelled")


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line as stored and answered; ``amount`` is quantity x rate at the currency's exponent."""

    title: str
    description: str = ""
    quantity: Decimal
    rate: Decimal
    amount: Decimal = Decimal(0)


class Content(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All of a document that a caller decides, and the totals that follow from it.

    Without ``locale`` or ``page_size`` the client or the account decides. Of ``external_id`` and ``metadata`` nothing
    is printed.
    """

    type: str
    client_id: str
    currency: str
    issued_date: date
    due_date: date | None
    items: tuple[Line, ...]
    tax_rate: Decimal
    notes: str
    template: str
    locale: str | None
    page_size: str | None
    external_id: str | None = None
    metadata: Metadata = {}
    subtotal: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)
    total: Decimal = Decimal(0)


class Defaults(msgspec.Struct, frozen=True):
    """What the account says where a new document is silent; ``today`` is in the account's time zone."""

    currency: str
    template: str
    today: date


_ITEM_RULES: dict[str, Rule] = {
    "title": text(chars_max=TITLE_CHARS_MAX, chars_min=1),
    "description": optional(text(chars_max=DESCRIPTION_CHARS_MAX), ""),
    "quantity": amount,
    "rate": amount,
}
_ITEM_REQUIRED = ("title", "quantity", "rate")
# What a rule over several fields needs to be sound.
_DATES = frozenset({"issued_date", "due_date"})
_SUMMED = frozenset({"items", "currency", "tax_rate"})


def _items(value: Any) -> tuple[Line, ...]:
    if not isinstance(value, list):
        raise Broken("Must be a list of lines")
    if not 1 <= len(value) <= ITEMS_MAX:
        raise Broken(f"Must hold from 1 to {ITEMS_MAX:,} lines")
    lines: list[Line] = []
    faults: dict[str, str] = {}
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            faults[f"[{index}]"] = "Must be an object with title, quantity and rate"
            continue
        fields, broken = check_fields(item, _ITEM_RULES, _ITEM_REQUIRED)
        if broken:
            faults.update({f"[{index}].{path}": sentence for path, sentence in broken.items()})
        if not faults:
            lines.append(Line(**fields))
    if faults:
        raise Broken(faults=faults)
    return tuple(lines)


def _rules(templates: tuple[str, ...], statuses: tuple[str, ...]) -> dict[str, Rule]:
    return {
        "type": one_of(tuple(KINDS)),
        "client_id": text(chars_max=CLIENT_ID_CHARS_MAX, chars_min=1),
        "currency": currency(EXPONENTS),
        "issued_date": day,
        "due_date": optional(day),
        "items": _items,
        "tax_rate": optional(percentage, Decimal(0)),
        "notes": optional(text(chars_max=NOTES_CHARS_MAX), ""),
        "template": one_of(templates),
        "locale": optional(one_of(LOCALES)),
        "page_size": optional(one_of(PAGE_SIZES)),
        "status": one_of(statuses),
    }


class Documents:
    """The readers of document bodies, made once for the templates that there are."""

    def __init__(self, templates: tuple[str, ...]) -> None:
        self._create = _rules(templates, STATUSES_AT_CREATE)
        self._update = _rules(templates, STATUSES_AT_UPDATE)
        self._create_unnamed = self._create | own_rules({})

    def ordinary(self, body: bytes | msgspec.Raw, defaults: Defaults) -> tuple[Content, str] | None:
        """What ``new`` makes of the body's JSON, in a third of the time, where all is as it mostly is; else None."""
        given = read_ordinary(body)
        if given is None:
            return None
        try:
            content = self._ordinary(given, defaults)
        except Broken:
            return None
        is_sound = content.total >= 0 and (
            content.due_date is None or content.due_date >= content.issued_date
        )
        return (content, given.status or "draft") if is_sound else None

    def _ordinary(self, given: Ordinary, defaults: Defaults) -> Content:
        """Raises Broken."""
        rules = self._create_unnamed
        code = defaults.currency if given.currency is None else rules["currency"](given.currency)
        tax_rate = Decimal(0) if given.tax_rate is None else percentage(given.tax_rate)
        issued = given.issued_date or defaults.today
        kind = rules["type"](given.type)
        if given.status is not None:
            rules["status"](given.status)
        return Content(
            type=kind,
            client_id=given.client_id,
            currency=code,
            issued_date=issued,
            due_date=_due_date(kind, issued) if given.due_date is UNSET else given.due_date,
            tax_rate=tax_rate,
            notes=given.notes or "",
            template=defaults.template if given.template is None else rules["template"](given.template),
            locale=rules["locale"](given.locale),
            page_size=rules["page_size"](given.page_size),
            external_id=rules["external_id"](given.external_id),
            metadata={} if given.metadata is None else rules["metadata"](given.metadata),
            **_totals(
                given.items,
                [(amount(line.quantity), amount(line.rate)) for line in given.items],
                tax_rate,
                EXPONENTS[code],
            ),
        )

    def new(self, body: Any, defaults: Defaults, external_id: str | None = None) -> tuple[Content, str]:
        """A new document's content and its status; raises validation_error.

        ``external_id`` is the one that the caller has named it by already, if so.
        """
        rules = self._create | own_rules({}, external_id) if external_id else self._create_unnamed
        fields = _without_nulls(require_object(body), rules)
        held = {**_silent(defaults), "external_id": external_id}
        values = _read(fields, rules, held, required=("type", "client_id", "items"))
        if "due_date" not in fields:
            values["due_date"] = _due_date(values["type"], values["issued_date"])
        return _content(values)

    def changed(self, content: Content, body: Any, external_id: str | None = None) -> tuple[Content, str]:
        """The content with the fields that ``body`` names, and the status asked for; raises validation_error."""
        rules = self._update | own_rules(content.metadata, external_id)
        held = {**msgspec.structs.asdict(content), "status": "draft"}
        return _content(_read(require_object(body), rules, held))


def _silent(defaults: Defaults) -> dict[str, Any]:
    """What a new document holds where its body is silent; the due date follows once the type is known."""
    return {
        "currency": defaults.currency,
        "issued_date": defaults.today,
        "due_date": None,
        "tax_rate": Decimal(0),
        "notes": "",
        "template": defaults.template,
        "locale": None,
        "page_size": None,
        "metadata": {},
        "status": "draft",
    }


def _without_nulls(body: dict[str, Any], rules: dict[str, Rule]) -> dict[str, Any]:
    """Null is as good as absent at create, but for ``due_date``, where it means that none is due."""
    return {
        name: value
        for name, value in body.items()
        if value is not None or name == "due_date" or name not in rules
    }


def _read(
    fields: dict[str, Any], rules: dict[str, Rule], held: dict[str, Any], *, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """``held`` with the body's fields and their totals over it; raises validation_error with all the faults."""
    named, faults = check_fields(fields, rules, required)
    values = held | named
    sound = values.keys() - (fields.keys() - named.keys()) if faults else values.keys()
    if sound >= _DATES and values["due_date"] and values["due_date"] < values["issued_date"]:
        faults["due_date"] = "Must not be before issued_date"
    if sound >= _SUMMED:
        factors = [(line.quantity, line.rate) for line in values["items"]]
        values |= _totals(values["items"], factors, values["tax_rate"], EXPONENTS[values["currency"]])
        if values["total"] < 0:
            faults["items"] = "Must not add up to a negative total"
    if faults:
        raise validation_error(faults)
    return values


def _totals(
    lines: Sequence[Line | OrdinaryLine],
    factors: Sequence[tuple[Decimal, Decimal]],
    tax_rate: Decimal,
    exponent: int,
) -> dict[str, Any]:
    """The lines with their amounts, and what they add up to, as fields of a Content; ``factors`` are theirs."""
    totals = compute_totals(factors, tax_rate, exponent)
    items = [
        Line(
            title=line.title,
            description=line.description or "",
            quantity=quantity,
            rate=rate,
            amount=amount,
        )
        for line, (quantity, rate), amount in zip(lines, factors, totals.amounts, strict=True)
    ]
    return {
        "items": tuple(items),
        "subtotal": totals.subtotal,
        "tax_amount": totals.tax_amount,
        "total": totals.total,
    }


def _due_date(kind: str, issued: date) -> date | None:
    days = KINDS[kind].due_days
    return None if days is None else issued + timedelta(days=days)


def _content(values: dict[str, Any]) -> tuple[Content, str]:
    status = values.pop("status")
    return Content(**values), status
