"""Long documents on real paper: no row split or lost, subtotals carried, totals never alone, pages counted right."""

import itertools
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
import pytest
from soundness import sound

from services.renderer.press import Press
from shared.messages import RenderJob, RenderLine
from shared.templates import TEMPLATES

Printer = Callable[[RenderJob], Awaitable[bytes]]
Pages = Callable[[bytes], list[str]]

TEMPLATE_IDS = [template.id for template in TEMPLATES]
CARRIED = re.compile(r"Carried forward \$([\d,.]+)")
BROUGHT = re.compile(r"Brought forward \$([\d,.]+)")
BEGUN = re.compile(r"Row-(\d+)-begins")


def amount_of(number: int) -> Decimal:
    return Decimal(number) * 7 + Decimal("0.01")


def with_lines(job: RenderJob, template: str, count: int) -> RenderJob:
    """Of one to four lines of text, each row with an amount of its own."""
    lines = tuple(
        RenderLine(
            title=f"Row-{n}-begins",
            description="\n".join(
                ["A line of text under it"] * (n % 4 - 1) + [f"Row-{n}-ends"] * bool(n % 4)
            ),
            quantity=Decimal(1),
            rate=amount_of(n),
            amount=amount_of(n),
        )
        for n in range(1, count + 1)
    )
    return msgspec.structs.replace(job, template=template, items=lines, notes="")


def sums_of(pattern: re.Pattern[str], pages: list[str]) -> list[Decimal | None]:
    found = [pattern.search(page) for page in pages]
    return [Decimal(each[1].replace(",", "")) if each else None for each in found]


@pytest.mark.parametrize(("template", "count"), [("clean", 1200), *((each, 150) for each in TEMPLATE_IDS)])
async def test_every_page_of_a_long_invoice_adds_up(
    template: str, count: int, example: Callable[[str], RenderJob], pdf_of: Printer, pages_of: Pages
) -> None:
    pages = pages_of(await pdf_of(with_lines(example("invoice-clean"), template, count)))
    rows = [[int(number) for number in BEGUN.findall(page)] for page in pages]
    assert list(itertools.chain(*rows)) == list(range(1, count + 1))
    so_far = list(itertools.accumulate(sum(map(amount_of, numbers)) for numbers in rows))
    assert sums_of(CARRIED, pages) == [*so_far[:-1], None]
    assert sums_of(BROUGHT, pages) == [None, *so_far[:-1]]
    for number, (page, begun) in enumerate(zip(pages, rows, strict=True), start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "INV-2026-000042" in page
        assert begun
        assert [int(n) for n in re.findall(r"Row-(\d+)-ends", page)] == [n for n in begun if n % 4]
        assert "Item Quantity Rate Amount" in page
        assert ("Subtotal $" in page) == (number == len(pages))


@pytest.mark.parametrize("template", TEMPLATE_IDS)
async def test_the_totals_never_stand_without_a_row(
    template: str, example: Callable[[str], RenderJob], press: Press, pages_of: Pages
) -> None:
    jobs = [with_lines(example("invoice-clean"), template, count) for count in range(1, 61)]
    named = [msgspec.structs.replace(job, document_id=f"doc_{len(job.items)}") for job in jobs]
    for count, pdf in enumerate(await press.print(named), start=1):
        assert isinstance(pdf, bytes)
        pages = pages_of(sound(pdf))
        with_total = [page for page in pages if "Subtotal $" in page]
        assert len(with_total) == 1
        assert f"Row-{count}-begins" in with_total[0]
        assert "Total $" in with_total[0]


async def test_the_most_lines_that_there_may_be(
    example: Callable[[str], RenderJob], pdf_of: Printer, pages_of: Pages
) -> None:
    pages = pages_of(await pdf_of(with_lines(example("invoice-clean"), "minimal", 5000)))
    assert [int(number) for page in pages for number in BEGUN.findall(page)] == list(range(1, 5001))
    assert f"Page {len(pages)} of {len(pages)}" in pages[-1]


@pytest.mark.parametrize("status", ["draft", "cancelled"])
async def test_each_page_of_a_draft_or_cancelled_document_says_so(
    status: str, example: Callable[[str], RenderJob], pdf_of: Printer, pages_of: Pages
) -> None:
    job = msgspec.structs.replace(with_lines(example("invoice-clean"), "classic", 60), status=status)
    pages = pages_of(await pdf_of(job))
    assert len(pages) > 2
    for page in pages:
        assert status.upper() in page
        # Across the page, where each turned letter is a word of its own to poppler.
        assert " ".join(status.upper()) in page


@pytest.mark.parametrize("template", TEMPLATE_IDS)
@pytest.mark.parametrize("lines", [60, 200])
async def test_a_row_taller_than_a_page_flows_on(
    template: str, lines: int, example: Callable[[str], RenderJob], pdf_of: Printer, pages_of: Pages
) -> None:
    job = example("invoice-clean")
    tall = msgspec.structs.replace(job.items[0], description="\n".join(f"word{n}" for n in range(lines)))
    items = (job.items[1], tall, job.items[2])
    pages = pages_of(await pdf_of(msgspec.structs.replace(job, template=template, items=items)))
    assert [int(n) for page in pages for n in re.findall(r"word(\d+)", page)] == list(range(lines))
    assert " ".join(pages).count(tall.title) == 1
    assert sums_of(CARRIED, pages)[:-1] == sums_of(BROUGHT, pages)[1:]


@pytest.mark.parametrize("template", TEMPLATE_IDS)
@pytest.mark.parametrize("separator", ["\n", " "])
async def test_notes_flow_over_pages(
    template: str,
    separator: str,
    example: Callable[[str], RenderJob],
    pdf_of: Printer,
    pages_of: Pages,
) -> None:
    notes = separator.join(f"word{n}" for n in range(1000))
    job = msgspec.structs.replace(example("invoice-clean"), template=template, notes=notes)
    pages = pages_of(await pdf_of(job))
    assert len(pages) > 1
    assert [int(n) for page in pages for n in re.findall(r"word(\d+)", page)] == list(range(1000))
    assert len([page for page in pages if "Notes" in page]) == 1
    assert f"Page {len(pages)} of {len(pages)}" in pages[-1]


async def test_notes_of_nothing_but_line_breaks_take_no_pages(
    example: Callable[[str], RenderJob], pdf_of: Printer, pages_of: Pages
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), notes="first" + "\n" * 9_990 + "last")
    pages = pages_of(await pdf_of(job))
    assert len(pages) == 2
    assert "last" in pages[1]
