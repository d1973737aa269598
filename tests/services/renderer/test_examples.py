"""Every golden document, for each type and template, holds what a reader needs, in real type on one page."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from services.renderer.kinds import KINDS
from shared.messages import RenderJob
from shared.templates import TEMPLATES

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))


def test_there_is_one_for_each_type_and_template() -> None:
    assert {f"{kind}-{template.id}" for kind in KINDS for template in TEMPLATES} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_it_says_all_on_one_page_in_embedded_outlines(
    name: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
    poppler: Callable[..., bytes],
) -> None:
    pdf = await pdf_of(example(name))
    # A long word or number may be broken to the next line, so spaces do not count.
    text = "".join(text_of(pdf).split())
    needed = (EXAMPLES / f"{name}.txt").read_text().splitlines()
    assert [fragment for fragment in needed if "".join(fragment.split()) not in text] == []
    assert len(re.findall(r"Page\d+of\d+", text)) == 1
    fonts = poppler("pdffonts", pdf=pdf).decode().splitlines()[2:]
    assert fonts
    assert all("CID TrueType" in font and " yes yes yes " in font for font in fonts)


@pytest.mark.parametrize("name", NAMES)
async def test_it_says_nothing_that_another_type_or_status_would(
    name: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
) -> None:
    job = example(name)
    text = text_of(await pdf_of(job))
    assert ("DRAFT" in text) == (job.status == "draft")
    assert ("CANCELLED" in text) == (job.status == "cancelled")
    assert ("Ship to" in text) == (job.type == "purchase_order")
    assert ("Due date" in text) == (job.type == "invoice")
    assert ("Tax (" in text) == bool(job.tax_rate)
    assert ("Notes" in text) == bool(job.notes)
    assert "None" not in text


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
@pytest.mark.parametrize("locale", ["en", "ar"])
async def test_a_large_total_stands_on_one_line(
    locale: str,
    template: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
) -> None:
    changed = {"template": template, "locale": locale, "currency": "AED", "total": Decimal("1234567890.12")}
    job = msgspec.structs.replace(example("invoice-clean"), **changed)
    assert "1,234,567,890.12" in text_of(await pdf_of(job))
