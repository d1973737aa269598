"""The file is the same, byte for byte, wherever and whenever it is made, and names no maker but us."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from io import BytesIO

import msgspec
import pikepdf
from jinja2 import Environment

from services.renderer.chromium import open_chromium
from services.renderer.fill import fill
from services.renderer.finish import finish, wanted
from services.renderer.page import document_page
from services.renderer.sheets import one_sheet
from shared.messages import RenderJob


async def test_two_browsers_make_the_same_bytes(
    example: Callable[[str], RenderJob],
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    templates: Environment,
    chromium_path: str,
) -> None:
    """One has printed much, the other nothing: what it printed before, and when, must leave no trace."""
    jobs = [example(name) for name in ("invoice-modern", "estimate-classic", "money-huge")]
    for job in jobs:
        await pdf_of(job)
    ours = [await pdf_of(job) for job in jobs]
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as fresh:
        pages = [document_page(job) for job in jobs]
        theirs = [
            finish(
                await fresh.print(fill(templates, job.template, [(page, one_sheet(page))])),
                [wanted(page, sheets=1, updated_at=job.updated_at)],
            )[0]
            for job, page in zip(jobs, pages, strict=True)
        ]
    assert ours == theirs


async def test_it_tells_title_author_and_dates_and_no_other_maker(
    example: Callable[[str], RenderJob], pdf_of: Callable[[RenderJob], Awaitable[bytes]]
) -> None:
    updated = datetime(2026, 3, 5, 23, 59, 58, 999, tzinfo=UTC)
    pdf = await pdf_of(msgspec.structs.replace(example("invoice-clean"), updated_at=updated))
    with pikepdf.open(BytesIO(pdf)) as opened:
        told = {key: str(value) for key, value in opened.docinfo.items()}
        packet = opened.Root.Metadata.read_bytes()
        assert opened.Root.Lang == "en"
        assert opened.Root.MarkInfo.Marked
    assert told == {
        "/Title": "Invoice INV-2026-000042",
        "/Author": "Northwind Studio",
        "/Subject": "Invoice for Acme Corp, March 1, 2026",
        "/Creator": "InvoUno",
        "/Producer": "InvoUno",
        "/CreationDate": "D:20260305235958Z",
        "/ModDate": "D:20260305235958Z",
    }
    for maker in (b"Chrom", b"Skia", b"pikepdf", b"HeadlessChrome"):
        assert maker not in pdf
        assert maker not in packet
    with pikepdf.open(BytesIO(pdf)) as opened:
        metadata = opened.open_metadata()
        assert metadata["dc:title"] == "Invoice INV-2026-000042"
        assert metadata["dc:creator"] == ["Northwind Studio"]
        assert metadata["xmp:ModifyDate"] == "2026-03-05T23:59:58Z"


async def test_a_draft_is_titled_as_one(
    example: Callable[[str], RenderJob], pdf_of: Callable[[RenderJob], Awaitable[bytes]]
) -> None:
    with pikepdf.open(BytesIO(await pdf_of(example("invoice-minimal")))) as opened:
        assert opened.docinfo.Title == "Invoice (draft)"


async def test_the_file_is_sound(
    example: Callable[[str], RenderJob], pdf_of: Callable[[RenderJob], Awaitable[bytes]]
) -> None:
    with pikepdf.open(BytesIO(await pdf_of(example("invoice-classic")))) as opened:
        assert opened.check_pdf_syntax() == []
        first = opened.pages[0]
        assert [round(float(edge)) for edge in first.mediabox] == [0, 0, 595, 842]
