"""What a document says, as text in reading order: the whole of what a template may use. Pure; no look, no HTML."""

import re
from collections.abc import Iterator

import msgspec

from services.renderer.amounts import Writer, cldr, day, money, number, percent, total_of
from services.renderer.kinds import KINDS, STAMPED, UNPAID, Kind
from services.renderer.payment_code import NO_CODE, payment_code
from services.renderer.words.languages import WORDS
from services.renderer.words.words import KindWords, Labels, Words
from shared.messages import Party, RenderJob

# Quantity, rate and amount of a line together, in characters; more leaves the title no room.
NUMBERS_LENGTH_MAX = 46
# However a line was ended: by a typewriter, a form feed, a mainframe or Unicode.
BREAK = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Controls, what turns the text after it around (UAX 9, explicit formatting), annotations, halves of characters.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
# A country's two letters and its number (VIES; XI is Northern Ireland, and Britain's have kept the form).
VAT_ID = re.compile(
    r"(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|GB|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI)"
    r" ?[A-Z0-9]{2}[0-9 .-]{4,14}[A-Z0-9]{0,3}"
)
PAPERS = {"a4": "A4", "letter": "letter"}
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


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
    stands above the total, ``payment`` how to pay it. ``page_size`` is CSS's name, ``accent`` a CSS colour or empty,
    ``logo`` a data URI or empty; ``payment_code`` is the path of a QR code in a square of ``payment_code_size``.
    """

    document_id: str
    language: str
    direction: str
    page_size: str
    accent: str
    logo: str
    labels: Labels
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
    payment: tuple[Row, ...]
    payment_code: str
    payment_code_size: int


def document_page(job: RenderJob, logo: str = "") -> DocumentPage:
    """Raises KeyError for a type, a locale or a paper that has no words here."""
    kind, words = KINDS[job.type], WORDS[job.locale]
    called, author = words.kinds[job.type], _line(job.seller.name)
    number_, lines = _line(job.number or ""), tuple(_lines(job))
    status = _status(words, called, job.status)
    badge_kind = _badge_kind(kind, job.status)
    client = _address(called.client, job.client, words)
    is_owed = kind.asks_for_money and job.status in UNPAID
    code = payment_code(job, author) if is_owed else NO_CODE
    return DocumentPage(
        document_id=job.document_id,
        language=job.locale,
        direction=cldr(job.locale).text_direction,
        page_size=PAPERS[job.page_size],
        accent=job.accent_color if COLOUR.fullmatch(job.accent_color) else "",
        logo=logo,
        labels=words.labels,
        title=called.title,
        number=number_,
        footer=" · ".join(filter(None, (number_ or called.title, _stamp(status, job.status)))),
        file_title=" ".join(filter(None, (called.title, number_ or (status and f"({status})")))),
        author=author,
        subject=words.subject.format(
            title=called.title, client=client.name, day=day(job.locale, job.issued_date)
        ),
        stamp=_stamp(status, job.status),
        badge=_status(words, called, badge_kind).upper(),
        badge_kind=badge_kind,
        seller=_address(called.sender, job.seller, words),
        client=client,
        ship_to=_ship_to(called, job.seller),
        facts=tuple(_facts(job, called)),
        lines=lines,
        long_numbers=any(map(_is_long, lines)),
        sums=tuple(_sums(job, words)),
        total=Row(called.total, _amount(job)(job.total)),
        notes=_clean(job.notes),
        payment=tuple(_payment(job, words)) if is_owed else (),
        payment_code=code.path,
        payment_code_size=code.size,
    )


def subtotal_through(job: RenderJob, count: int) -> str:
    """The sum of the first ``count`` lines, as it is carried from a page to the next."""
    return _amount(job)(total_of(line.amount for line in job.items[:count]))


def _badge_kind(kind: Kind, status: str) -> str:
    return status if status in STAMPED or not kind.always_paid else "paid"


def _status(words: Words, called: KindWords, status: str) -> str:
    """What a status is called in a sentence; that something was sent is not said."""
    known = {
        "draft": words.draft,
        "cancelled": called.cancelled,
        "paid": called.paid,
        "overdue": called.overdue,
    }
    return known.get(status, "")


def _stamp(status: str, kind: str) -> str:
    return status.upper() if kind in STAMPED else ""


def _facts(job: RenderJob, called: KindWords) -> Iterator[Row]:
    if job.number:
        yield Row(called.number, _line(job.number))
    yield Row(called.issued, day(job.locale, job.issued_date))
    if job.due_date and called.due:
        yield Row(called.due, day(job.locale, job.due_date))


def _lines(job: RenderJob) -> Iterator[Line]:
    amount, quantity = _amount(job), number(job.locale)
    for line in job.items:
        yield Line(
            title=_clean(line.title),
            description=_clean(line.description),
            quantity=quantity(line.quantity),
            rate=amount(line.rate),
            amount=amount(line.amount),
        )


def _is_long(line: Line) -> bool:
    return len(line.quantity) + len(line.rate) + len(line.amount) > NUMBERS_LENGTH_MAX


def _sums(job: RenderJob, words: Words) -> Iterator[Row]:
    amount = _amount(job)
    yield Row(words.subtotal, amount(job.subtotal))
    if job.tax_rate:
        yield Row(words.tax.format(rate=percent(job.locale)(job.tax_rate)), amount(job.tax_amount))


def _payment(job: RenderJob, words: Words) -> Iterator[Row]:
    """To which account, with which words, until when: what a bank's form asks for, in its order."""
    seller = job.seller
    if seller.iban:
        iban = "".join(_clean(seller.iban).split())
        yield Row("IBAN", " ".join(iban[i : i + 4] for i in range(0, len(iban), 4)))
    if seller.bic:
        yield Row("BIC", _clean(seller.bic))
    if seller.iban and job.number:
        yield Row(words.reference, _line(job.number))
    if seller.payment_terms:
        yield Row(words.payment_terms, _clean(seller.payment_terms))


def _amount(job: RenderJob) -> Writer:
    return money(job.locale, job.currency, decimals_min=job.exponent)


def _address(heading: str, party: Party, words: Words) -> Address:
    contact = (party.email, party.phone, party.tax_id and _tax_id(words, party.tax_id))
    return Address(heading, _line(party.name), _written(_place(party)), _written(contact))


def _tax_id(words: Words, given: str) -> str:
    return (words.vat_id if VAT_ID.fullmatch(given) else words.tax_id).format(id=given)


def _ship_to(called: KindWords, buyer: Party) -> Address | None:
    return Address(called.ship_to, _line(buyer.name), _written(_place(buyer))) if called.ship_to else None


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


def _line(text: str) -> str:
    """What is one line in metadata, in a foot and in a payment."""
    return " ".join(_clean(text).split())


def _clean(text: str) -> str:
    """Without what no font draws, no metadata may hold (XML 1.0, Char), or what would turn a neighbour's text.

    Line breaks, tabs, joiners and marks of direction stay: they are part of how a word is written.
    """
    if text.isprintable():
        return text.strip()
    return UNPRINTABLE.sub("", BREAK.sub("\n", text)).strip()
