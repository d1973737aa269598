"""The code on an invoice is what a bank's app reads as the transfer that pays it, or it is not there."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from io import BytesIO

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image, ImageDraw

from services.renderer.page import document_page
from services.renderer.payment_code import (
    NO_CODE,
    PAYLOAD_BYTES_MAX,
    PaymentCode,
    code_of,
    is_sepa,
    payload,
    payment_code,
)
from shared.messages import RenderJob
from shared.templates import TEMPLATES

IBAN = "DE89370400440532013000"
MODULE_PX = 6

Example = Callable[[str], RenderJob]


@pytest.fixture
def invoice(example: Example) -> RenderJob:
    job = example("invoice-clean")
    seller = replace(job.seller, name="Nordwind Atelier GmbH", iban=IBAN, bic="COBADEFFXXX")
    return replace(
        job,
        status="sent",
        number="INV-2026-000042",
        currency="EUR",
        exponent=2,
        total=Decimal(6820),
        seller=seller,
    )


def test_a_reader_finds_the_transfer_in_it(invoice: RenderJob) -> None:
    code = payment_code(invoice, "Nordwind Atelier GmbH")
    assert read(code).text.split("\n") == [
        *("BCD", "002", "1", "SCT", "COBADEFFXXX", "Nordwind Atelier GmbH", IBAN, "EUR6820.00", "", ""),
        "INV-2026-000042",
    ]


def test_the_page_has_it_with_its_side(invoice: RenderJob) -> None:
    page = document_page(invoice)
    assert PaymentCode(page.payment_code, page.payment_code_size) == payment_code(
        invoice, invoice.seller.name
    )
    assert read(PaymentCode(page.payment_code, page.payment_code_size)).valid


@pytest.mark.parametrize("name", ["Bäckerei Öhler", "ÄÖÜß · Łódź", "株式会社東京", "مخبز النور", "🚀 Ltd"])
def test_names_are_bytes_of_utf_8_without_a_designator(name: str, invoice: RenderJob) -> None:
    seen = read(payment_code(invoice, name))
    assert seen.bytes == payload(invoice, name)
    assert seen.symbology_identifier == "]Q1"
    assert seen.text.split("\n")[5] == name


@given(st.binary(min_size=1, max_size=PAYLOAD_BYTES_MAX))
def test_every_payload_fits_and_is_read_back(content: bytes) -> None:
    code = code_of(content)
    assert code.size <= 4 * 13 + 17 + 8
    assert read(code).bytes == content


def test_what_no_reader_must_take_is_left_out(invoice: RenderJob) -> None:
    assert code_of(b"x" * (PAYLOAD_BYTES_MAX + 1)) == NO_CODE
    assert payment_code(replace(invoice, number="N" * 140), "🚀" * 70) == NO_CODE


def test_a_long_name_ends_at_70_characters_and_a_number_at_140(invoice: RenderJob) -> None:
    job = replace(invoice, number="N" * 200)
    lines = payload(job, "ä" * 100).decode().split("\n")
    assert lines[5] == "ä" * 70
    assert lines[10] == "N" * 140
    assert payload(invoice, "x" * 69 + " y").decode().split("\n")[5] == "x" * 69


@pytest.mark.parametrize("bic", ["", "nonsense", "COBADEFFX"])
def test_a_bank_is_named_rightly_or_not_at_all(bic: str, invoice: RenderJob) -> None:
    job = replace(invoice, seller=replace(invoice.seller, bic=bic))
    assert payload(job, "x").decode().split("\n")[4] == ""


@pytest.mark.parametrize(
    ("total", "written"), [("0.01", "EUR0.01"), ("999999999.99", "EUR999999999.99"), ("1E+3", "EUR1000.00")]
)
def test_the_amount_is_exact(total: str, written: str, invoice: RenderJob) -> None:
    job = replace(invoice, total=Decimal(total))
    assert read(payment_code(job, "x")).text.split("\n")[7] == written


@pytest.mark.parametrize("total", ["0", "0.00", "1000000000", "1.1E+9"])
def test_no_bank_transfers_nothing_or_a_thousand_million(total: str, invoice: RenderJob) -> None:
    assert payment_code(replace(invoice, total=Decimal(total)), "x") == NO_CODE


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "USD"},
        {"number": None, "status": "draft"},
        {"status": "paid"},
        {"status": "cancelled"},
        {"type": "quote"},
        {"type": "estimate"},
        {"type": "receipt"},
        {"type": "purchase_order"},
    ],
)
def test_what_nobody_owes_in_euro_has_none(changes: dict[str, str | None], invoice: RenderJob) -> None:
    page = document_page(replace(invoice, **changes))
    assert (page.payment_code, page.payment_code_size) == ("", 0)


def test_what_is_overdue_has_one(invoice: RenderJob) -> None:
    assert document_page(replace(invoice, status="overdue")).payment_code


@pytest.mark.parametrize(
    "iban", [IBAN, "NL91ABNA0417164300", "MT84MALT011000012345MTLCAST001S", "FR1420041010050500013M02606"]
)
def test_an_account_in_sepa_is_paid_by_it(iban: str, invoice: RenderJob) -> None:
    assert is_sepa(iban)
    assert payment_code(replace(invoice, seller=replace(invoice.seller, iban=iban)), "x").path


@pytest.mark.parametrize(
    "iban",
    [
        "DE89370400440532013001",
        "de89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "DE89\N{ARABIC-INDIC DIGIT ONE}70400440532013000",
        "SA0380000000608010167519",
        "DE",
        "",
    ],
)
def test_any_other_account_is_not(iban: str, invoice: RenderJob) -> None:
    assert not is_sepa(iban)
    assert payment_code(replace(invoice, seller=replace(invoice.seller, iban=iban)), "x") == NO_CODE


def test_without_a_payee_there_is_none(invoice: RenderJob) -> None:
    assert payment_code(invoice, "") == NO_CODE


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_a_scanner_reads_it_off_the_paper(
    template: str,
    invoice: RenderJob,
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    poppler: Callable[..., bytes],
) -> None:
    pdf = await pdf_of(replace(invoice, template=template))
    paper = Image.open(BytesIO(poppler("pdftoppm", "-r", "150", "-gray", "-singlefile", pdf=pdf)))
    [seen] = zxingcpp.read_barcodes(paper)
    assert seen.bytes == payload(invoice, "Nordwind Atelier GmbH")


def read(code: PaymentCode) -> zxingcpp.Barcode:
    """What a scanner sees of the path, drawn here, quiet zone and all."""
    image = Image.new("L", (code.size * MODULE_PX, code.size * MODULE_PX), 255)
    draw = ImageDraw.Draw(image)
    for x, y, width in (map(int, run) for run in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", code.path)):
        corners = (x, y, x + width, y + 1)
        left, top, right, bottom = (corner * MODULE_PX for corner in corners)
        draw.rectangle((left, top, right - 1, bottom - 1), fill=0)
    return zxingcpp.read_barcodes(image)[0]
