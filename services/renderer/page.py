"""What a document says, as text in reading order: the whole of what a template may use. Pure; no look, no HTML."""

import re
from collections.abc import Iterator

import msgspec
from babel import Locale

from services.renderer.amounts import RATE_DECIMALS_MAX, Money, day, money, number
from services.renderer.kinds import KINDS, PAID, STAMPS, Kind
from shared.messages import Party, RenderJob

LANGUAGE = "en"
# Quantity, rate and amount of a line together, in characters; more leaves the title no room.
NUMBERS_LENGTH_MAX = 46
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


class Row(msgspec.Struct, frozen=True):
    label: str
    value: str


class Address(msgspec.Struct, frozen=True):
    """A party under its heading: where it is and how it is reached, without empty lines."""

    heading: str
    name: str
    place: tuple[str, ...]
    contact: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True):
    title: str
    description: str
    quantity: str
    rate: str
    amount: str


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    """A document in words. ``stamp`` lies across each page, ``badge`` stands beside the title; either may be empty.

    ``badge_kind`` is the status that the badge tells, ``facts`` are the number and the dates, ``sums`` what
    stands above the total.
    """

    language: str
    direction: str
    title: str
    number: str
    footer: str
    file_title: str
    author: str
    subject: str
    stamp: str
    badge: str
    badge_kind: str
    seller: Address
    client: Address
    ship_to: Address | None
    facts: tuple[Row, ...]
    lines: tuple[Line, ...]
    long_numbers: bool
    sums: tuple[Row, ...]
    total: Row
    notes: str


def document_page(job: RenderJob) -> DocumentPage:
    """Raises KeyError for a type that has no words here."""
    kind = KINDS[job.type]
    locale = Locale.parse(LANGUAGE)
    badge_kind = _badge_kind(kind, job.status)
    client = _address(kind.client, job.client)
    lines = tuple(_lines(job, locale))
    return DocumentPage(
        language=LANGUAGE,
        direction=locale.text_direction,
        title=kind.title,
        number=_clean(job.number or ""),
        footer=" · ".join(filter(None, (_clean(job.number or kind.title), STAMPS.get(job.status)))),
        file_title=f"{kind.title} {_clean(job.number or f'({job.status})')}",
        author=_clean(job.seller.name),
        subject=f"{kind.title} for {client.name}, {day(locale, job.issued_date)}",
        stamp=STAMPS.get(job.status, ""),
        badge={"paid": PAID, "overdue": kind.overdue, **STAMPS}.get(badge_kind, ""),
        badge_kind=badge_kind,
        seller=_address("From", job.seller),
        client=client,
        ship_to=_ship_to(kind, job.seller),
        facts=tuple(_facts(job, kind, locale)),
        lines=lines,
        long_numbers=any(_is_long(line) for line in lines),
        sums=tuple(_sums(job, locale)),
        total=Row(kind.total, _amount(job, locale)(job.total)),
        notes=_clean(job.notes),
    )


def _badge_kind(kind: Kind, status: str) -> str:
    if status in STAMPS or not kind.always_paid:
        return status
    return "paid"


def _facts(job: RenderJob, kind: Kind, locale: Locale) -> Iterator[Row]:
    if job.number:
        yield Row("Number", _clean(job.number))
    yield Row(kind.issued, day(locale, job.issued_date))
    if job.due_date and kind.due:
        yield Row(kind.due, day(locale, job.due_date))


def _lines(job: RenderJob, locale: Locale) -> Iterator[Line]:
    amount, quantity = _amount(job, locale), number(locale)
    rate = money(
        locale, job.currency, decimals_min=job.exponent, decimals_max=max(job.exponent, RATE_DECIMALS_MAX)
    )
    for line in job.items:
        yield Line(
            title=_clean(line.title),
            description=_clean(line.description),
            quantity=quantity(line.quantity),
            rate=rate(line.rate),
            amount=amount(line.amount),
        )


def _is_long(line: Line) -> bool:
    return len(line.quantity) + len(line.rate) + len(line.amount) > NUMBERS_LENGTH_MAX


def _sums(job: RenderJob, locale: Locale) -> Iterator[Row]:
    amount = _amount(job, locale)
    yield Row("Subtotal", amount(job.subtotal))
    if job.tax_rate:
        yield Row(f"Tax ({number(locale)(job.tax_rate)}%)", amount(job.tax_amount))


def _amount(job: RenderJob, locale: Locale) -> Money:
    return money(locale, job.currency, decimals_min=job.exponent, decimals_max=job.exponent)


def _address(heading: str, party: Party) -> Address:
    contact = (party.email, party.phone, party.tax_id and f"Tax ID: {party.tax_id}")
    return Address(heading, _clean(party.name), _written(_place(party)), _written(contact))


def _ship_to(kind: Kind, buyer: Party) -> Address | None:
    return Address(kind.ship_to, _clean(buyer.name), _written(_place(buyer))) if kind.ship_to else None


def _place(party: Party) -> tuple[str, ...]:
    """The town with a region as Americans write it, without one as Europeans do."""
    company = party.company if party.company != party.name else ""
    if party.region:
        town = ", ".join(filter(None, (party.city, f"{party.region} {party.postal_code}".strip())))
    else:
        town = f"{party.postal_code} {party.city}".strip()
    return (company, party.address_line1, party.address_line2, town, party.country)


def _written(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, map(_clean, lines)))


def _clean(text: str) -> str:
    """Without what no font draws and no metadata may hold (XML 1.0, Char); line breaks and tabs stay."""
    return UNPRINTABLE.sub("", text).strip()
