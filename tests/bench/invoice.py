"""The invoice that each way prints: addresses, notes and ten lines on one page; and as many others of its kind."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from services.api.store.ids import new_id
from shared.messages import Party, RenderJob, RenderLine
from shared.templates import TEMPLATES_VERSION

LINES = 10
TAX_RATE = Decimal(10)
CENT = Decimal("0.01")
SELLER = Party(
    name="Northwind Studio",
    email="accounts@northwind.example",
    phone="+1 503 555 0171",
    address_line1="12 Harbour Street",
    city="Portland",
    region="OR",
    postal_code="97201",
    country="United States",
    tax_id="US 12-3456789",
)
CLIENTS = ("Acme Corporation", "Harper & Quinn LLC", "Blue Ridge Outfitters", "Lakeside Dental Group")
WORK = (
    ("Brand identity", "Logo suite, colour and type system, 40-page guideline", "1", "4800"),
    ("Website design", "Twelve page templates, desktop and mobile", "1", "6200"),
    ("Front-end development", "", "36.5", "110"),
    ("Content migration", "", "18", "85"),
    ("Photography", "", "1", "1450"),
    ("Copywriting", "", "12", "95"),
    ("Accessibility review", "", "1", "980"),
    ("Hosting, annual", "1 March 2026 to 28 February 2027", "12", "49.90"),
    ("Printed stationery", "", "1", "640.75"),
    ("Returning client discount", "", "1", "-500"),
)
NOTES = (
    "Please pay by bank transfer within 30 days and quote the invoice number.\n"
    "Questions about this invoice: +1 503 555 0171. Thank you for your business."
)


def invoice(number: int, lines: int = LINES) -> RenderJob:
    """The ``number``-th of its kind: its number, client, quantities and so all its sums are its own."""
    items = tuple(_line(number, at) for at in range(lines))
    subtotal = sum((item.amount for item in items), Decimal(0))
    tax = (subtotal * TAX_RATE / 100).quantize(CENT, ROUND_HALF_UP)
    return RenderJob(
        template="clean",
        template_version=TEMPLATES_VERSION,
        document_id=new_id("doc"),
        type="invoice",
        status="sent",
        number=f"INV-2026-{number:06}",
        currency="USD",
        exponent=2,
        issued_date=date(2026, 3, 1),
        due_date=date(2036, 3, 31),  # not overdue for a while, since a gateway would stamp it so
        seller=SELLER,
        client=client(number),
        items=items,
        subtotal=subtotal,
        tax_rate=TAX_RATE,
        tax_amount=tax,
        total=subtotal + tax,
        notes=NOTES,
        updated_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    )


def client(number: int) -> Party:
    return Party(
        name=CLIENTS[number % len(CLIENTS)],
        email=f"payables{number}@client.example",
        address_line1=f"{100 + number % 900} Park Avenue",
        city="New York",
        region="NY",
        postal_code="10022",
        country="United States",
    )


def request_body(job: RenderJob, client_id: str) -> dict[str, Any]:
    """What a caller posts to have the same document from the gateway."""
    return {
        "type": job.type,
        "status": job.status,
        "client_id": client_id,
        "issued_date": job.issued_date,
        "due_date": job.due_date,
        "items": [
            {
                "title": item.title,
                "description": item.description,
                "quantity": item.quantity,
                "rate": item.rate,
            }
            for item in job.items
        ],
        "tax_rate": job.tax_rate,
        "notes": job.notes,
        "template": job.template,
        "locale": job.locale,
        "page_size": job.page_size,
    }


def profile(party: Party) -> dict[str, str]:
    """The fields that a party has, by the names that the gateway and its command know."""
    return {name: value for name, value in msgspec.structs.asdict(party).items() if value}


def _line(number: int, at: int) -> RenderLine:
    title, description, quantity, rate = WORK[at % len(WORK)]
    count = Decimal(quantity) + number % 7
    price = Decimal(rate)
    return RenderLine(
        title=title,
        description=description,
        quantity=count,
        rate=price,
        amount=(count * price).quantize(CENT, ROUND_HALF_UP),
    )
