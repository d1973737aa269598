"""What is measured is what is printed: a galley is as high as its sheets, and lines are where they are cut."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from jinja2 import Environment

from services.renderer.chromium import Chromium, Page
from services.renderer.fill import PAPERS, fill
from services.renderer.layout.galley import Galley, measure
from services.renderer.layout.sheets import Sheet, galley_sheets, paginate
from services.renderer.layout.snapshot import Box, Snapshot
from services.renderer.page import DocumentPage, document_page, subtotal_through
from shared.messages import RenderJob
from shared.templates import TEMPLATES

PX = 0.05  # the browser counts in sixty-fourths
WORDS = "naïve café 北京市朝阳区建国路88号 العربية עברית 🚀🚀 e\u0301 "


def long(job: RenderJob, template: str, paper: str, locale: str) -> RenderJob:
    """Rows of many heights, one of them higher than a sheet."""
    line = job.items[0]
    items = [msgspec.structs.replace(line, description=WORDS * (at % 7)) for at in range(40)]
    items[20] = msgspec.structs.replace(line, title="tall", description=f"one\n\n\ntwo {WORDS * 20}\n" * 12)
    return msgspec.structs.replace(
        job,
        template=template,
        page_size=paper,
        locale=locale,
        items=tuple(items),
        notes=f"begin\n\n{WORDS * 120}end",
    )


async def galley_of(chromium: Chromium, templates: Environment, template: str, page: DocumentPage) -> Galley:
    html = fill(templates, template, [(page, galley_sheets(page))], measured=True)
    width_px = PAPERS[page.page_size].width_px
    [galley] = await chromium.use(lambda browser: measure(browser, html, width_px=width_px))
    return galley


async def laid_out(page: Page, html: str, width_px: int) -> list[list[Box]]:
    """The boxes of each sheet as it stands on paper, counted from the sheet's top."""
    send: Any = page.ask
    metrics = {"width": width_px, "height": 100, "deviceScaleFactor": 1, "mobile": False}
    await send("Emulation.setEmulatedMedia", {"media": "print"})
    await send("Emulation.setDeviceMetricsOverride", metrics)
    await send("Page.setDocumentContent", {"frameId": page.frame_id, "html": html})
    snapshot = Snapshot(await send("DOMSnapshot.captureSnapshot", {"computedStyles": []}))
    await send("Emulation.clearDeviceMetricsOverride")
    await send("Emulation.setEmulatedMedia", {"media": ""})
    sheets: list[list[Box]] = []
    for box in snapshot.boxes():
        if box.name == "DIV.sheet":
            sheets.append([])
        if sheets:
            sheets[-1].append(box)
    return [[msgspec.structs.replace(box, top=box.top - boxes[0].top) for box in boxes] for boxes in sheets]


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
@pytest.mark.parametrize("setting", [("a4", "en"), ("letter", "ar"), ("a4", "ja")])
async def test_sheets_are_as_high_as_paper_and_their_rows_as_high_as_measured(
    template: str,
    setting: tuple[str, str],
    chromium: Chromium,
    templates: Environment,
    example: Callable[[str], RenderJob],
) -> None:
    job = long(example("invoice-clean"), template, *setting)
    page = document_page(job)
    galley = await galley_of(chromium, templates, template, page)
    sheets = paginate(galley, page, partial(subtotal_through, job))
    html = fill(templates, template, [(page, sheets)], measured=True)
    size = PAPERS[page.page_size]
    found = await chromium.use(lambda browser: laid_out(browser, html, size.width_px))
    assert len(found) == len(sheets) > 5
    assert [box.height for (box, *_) in found] == [pytest.approx(size.height_mm * 96 / 25.4, abs=PX)] * len(
        sheets
    )
    heights = [box.height for boxes in found for box in boxes if box.name == "TR"]
    heads = sum(box.name == "THEAD" for boxes in found for box in boxes)
    whole = galley.rows[:20] + galley.rows[21:]
    assert heads + len(whole) + parts_of("tall", sheets) == len(heights)
    for height in whole:
        heights.remove(next(each for each in heights if abs(each - height) < PX))
    for boxes in found:
        columns = [box.width for box in boxes if box.name in {"TH", "TH.item"}]
        assert not columns or columns == pytest.approx(galley.columns, abs=PX)
        assert max(box.bottom for box in boxes if box.name in {"TABLE.items", "P"}) <= galley.floor + PX


def parts_of(title: str, sheets: tuple[Sheet, ...]) -> int:
    begun = next(number for number, sheet in enumerate(sheets) if sheet.lines[-1].title == title)
    following = [sheet for sheet in sheets[begun + 1 :] if sheet.lines and not sheet.lines[0].title]
    return 1 + len(following)


async def test_lines_are_the_text_itself_in_pieces(
    chromium: Chromium, templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    """Whatever runs which way, and however many units a letter has."""
    job = long(example("invoice-clean"), "clean", "a4", "en")
    page = document_page(job)
    galley = await galley_of(chromium, templates, "clean", page)
    assert "".join(line.text for line in galley.notes) == page.notes
    assert "".join(line.text for line in galley.tall[20].description) == page.lines[20].description
    assert [line.text for line in galley.tall[20].title] == ["tall"]
    tops = [line.top for line in galley.notes]
    assert tops == sorted(set(tops))
    assert [line.text for line in galley.notes[:2]] == ["begin\n", "\n"]
    lines = zip(galley.notes, galley.notes[1:], strict=False)
    assert all(abs(one.bottom - other.top) <= 1 for one, other in lines)


async def test_galleys_are_measured_together_as_they_are_alone(
    chromium: Chromium, templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    pages = [
        document_page(msgspec.structs.replace(example(name), template="clean"))
        for name in ("invoice-clean", "quote-modern", "money-huge", "receipt-minimal")
    ]
    html = fill(templates, "clean", [(page, galley_sheets(page)) for page in pages], measured=True)
    together = await chromium.use(lambda browser: measure(browser, html, width_px=PAPERS["A4"].width_px))
    alone = [await galley_of(chromium, templates, "clean", page) for page in pages]
    for one, other in zip(together, alone, strict=True):
        assert one.rows == pytest.approx(other.rows, abs=PX)
        assert one.columns == pytest.approx(other.columns, abs=PX)
        assert (one.first_top, one.floor, one.totals) == pytest.approx(
            (other.first_top, other.floor, other.totals), abs=PX
        )
