"""Long documents: the head on each page, no row split or lost, the totals never alone, pages counted right."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
import pytest

from shared.messages import RenderJob, RenderLine
from shared.templates import TEMPLATES


def with_lines(job: RenderJob, template: str, count: int) -> RenderJob:
    one = Decimal("100.00")
    lines = tuple(
        RenderLine(
            title=f"Row-{n}-begins",
            description=f"A second line of text under it\nRow-{n}-ends" if n % 3 else "",
            quantity=Decimal(1),
            rate=one,
            amount=one,
        )
        for n in range(1, count + 1)
    )
    return msgspec.structs.replace(job, template=template, items=lines)


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_five_hundred_lines_page_correctly(
    template: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    pages_of: Callable[[bytes], list[str]],
) -> None:
    pages = pages_of(await pdf_of(with_lines(example("invoice-clean"), template, 500)))
    found = [int(n) for page in pages for n in re.findall(r"Row-(\d+)-begins", page)]
    assert found == list(range(1, 501))
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "INV-2026-000042" in page
        begun, ended = (re.findall(rf"Row-(\d+)-{word}", page) for word in ("begins", "ends"))
        assert [n for n in begun if int(n) % 3] == ended
        assert ("Item Quantity Rate Amount" in page) == bool(begun)


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_the_totals_never_stand_without_a_row(
    template: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    pages_of: Callable[[bytes], list[str]],
) -> None:
    for count in range(8, 30, 1):
        pages = pages_of(await pdf_of(with_lines(example("invoice-clean"), template, count)))
        with_total = [page for page in pages if "Subtotal" in page]
        assert len(with_total) == 1
        assert f"Row-{count}-begins" in with_total[0]
        assert "Total $" in with_total[0]


@pytest.mark.parametrize("status", ["draft", "cancelled"])
async def test_each_page_of_a_draft_or_cancelled_document_says_so(
    status: str,
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    pages_of: Callable[[bytes], list[str]],
) -> None:
    job = msgspec.structs.replace(with_lines(example("invoice-clean"), "classic", 60), status=status)
    pages = pages_of(await pdf_of(job))
    assert len(pages) > 2
    for page in pages:
        assert status.upper() in page
        # Across the page, where each turned letter is a word of its own to poppler.
        assert " ".join(status.upper()) in page


async def test_a_row_taller_than_a_page_flows_on(
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    text_of: Callable[[bytes], str],
) -> None:
    job = example("invoice-clean")
    tall = msgspec.structs.replace(job.items[0], description="\n".join(f"word-{n}" for n in range(200)))
    text = text_of(await pdf_of(msgspec.structs.replace(job, items=(tall,))))
    assert [int(n) for n in re.findall(r"word-(\d+)", text)] == list(range(200))
