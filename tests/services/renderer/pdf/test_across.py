"""PDFium, and with it Chrome, reads every page in lines, also one that is nothing but a table of short words."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product

import msgspec
import pypdfium2 as pdfium
import pytest

from services.renderer.pdf.across import blank_across
from services.renderer.pdf.merge import Merger
from services.renderer.pdf.metadata import Description
from services.renderer.press import Press
from shared.messages import RenderJob
from shared.templates import TEMPLATES

LINES = 80
A4 = b"[0 0 594.95996 841.91998]"
WHOLE = Description(
    language="en", title="Both", author="", subject="", updated_at=datetime(2026, 1, 1, tzinfo=UTC)
)
TEMPLATE_IDS = tuple(template.id for template in TEMPLATES)


def lines_of(pdf: bytes) -> list[list[str]]:
    """Each page's, as PDFium reads them."""
    return [page.get_textpage().get_text_range().split("\r\n") for page in pdfium.PdfDocument(pdf)]


def table_of_short_words(job: RenderJob, template: str, locale: str) -> RenderJob:
    lines = [
        msgspec.structs.replace(job.items[0], title=f"Work{at:03}", description="") for at in range(LINES)
    ]
    return msgspec.structs.replace(job, items=tuple(lines), template=template, locale=locale)


async def test_no_page_is_read_downwards(press: Press, example: Callable[[str], RenderJob]) -> None:
    job = example("invoice-clean")
    ways = list(product(TEMPLATE_IDS, ("en", "ja", "ar")))
    outcomes = await press.print([table_of_short_words(job, *way) for way in ways])
    for way, pdf in zip(ways, outcomes, strict=True):
        assert isinstance(pdf, bytes)
        pages = lines_of(pdf)
        assert len(pages) > 2, way
        assert (
            sum(f"Work{at:03}" in line for at in range(LINES) for page in pages for line in page) == LINES
        ), way


async def test_nor_in_a_file_of_several_documents(press: Press, example: Callable[[str], RenderJob]) -> None:
    job = table_of_short_words(example("invoice-clean"), "clean", "en")
    pdfs = [pdf for pdf in await press.print([job, job]) if isinstance(pdf, bytes)]
    merger = Merger()
    parts = [*map(merger.add, pdfs), merger.end(WHOLE)]
    found = [line for page in lines_of(b"".join(parts)) for line in page if line.startswith("Work")]
    assert len(found) == 2 * LINES


@pytest.mark.parametrize(
    ("content", "box"),
    [
        (b"0 0 1 1 re\nf\n", A4),
        (b"/F4 9 Tf\n<0026> Tj", b"[1 1 5 5]"),
        (b"", A4),
        (b"/F5 9 Tf\n<0026> Tj", A4),
    ],
)
def test_a_page_that_is_not_understood_stays_as_it_is(content: bytes, box: bytes) -> None:
    assert blank_across(content, box, is_composite=lambda font: font == 4) == b""
