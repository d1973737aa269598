"""Galleys: documents set as one endless sheet each, and how high everything on them is.

The browser lays them out as it would for paper, so that a print of the same parts has the same heights.
"""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from services.renderer.chromium import Page
from services.renderer.layout.snapshot import Box, Snapshot, TextLine

# Five times what 5,000 lines take on a core of their own.
MEASURE_TIMEOUT_S = 8.0
# Rows lower than this part of a sheet are never split, so their lines need not be known.
TALL_SHARE = 0.25


class TallRow(msgspec.Struct, frozen=True):
    """The lines of a row's title and description."""

    title: tuple[TextLine, ...]
    description: tuple[TextLine, ...]


class Galley(msgspec.Struct, frozen=True, kw_only=True):
    """A document's heights in CSS pixels; what is called a top, bottom or floor counts from the sheet's own top.

    The first sheet's rows begin at ``first_top``, below a head that ends at ``head_bottom``; the next sheets begin at
    ``next_top`` and their rows at ``rows_top``. Nothing may stand below ``floor``. A row that is carried or brought is
    ``carry`` high. ``totals``, and ``close``, which is the totals with how to pay, count from the end of the table,
    ``notes_lead`` from the end of ``close`` to the first line; those ``_alone`` are of a sheet that begins with them.
    """

    head_top: float
    head_bottom: float
    first_top: float
    next_top: float
    rows_top: float
    floor: float
    columns: tuple[float, ...]
    rows: tuple[float, ...]
    tall: dict[int, TallRow]
    carry: float
    totals: float
    close: float
    payment_alone: float = 0
    notes_lead: float = 0
    notes_lead_alone: float = 0
    notes: tuple[TextLine, ...] = ()


async def measure(page: Page, html: str, *, width_px: int) -> list[Galley]:
    """The galleys of a fill of `galley_sheets`, in its order; ``width_px`` is the paper's."""
    async with asyncio.timeout(MEASURE_TIMEOUT_S):
        await asyncio.gather(
            page.ask("Emulation.setEmulatedMedia", {"media": "print"}),
            page.ask(
                "Emulation.setDeviceMetricsOverride",
                {"width": width_px, "height": 100, "deviceScaleFactor": 1, "mobile": False},
            ),
            page.ask("Page.setDocumentContent", {"frameId": page.frame_id, "html": html}),
        )
        captured = await page.ask("DOMSnapshot.captureSnapshot", {"computedStyles": []})
        await asyncio.gather(
            page.ask("Emulation.clearDeviceMetricsOverride"),
            page.ask("Emulation.setEmulatedMedia", {"media": ""}),
        )
    return await asyncio.to_thread(read_galleys, captured)


def read_galleys(captured: dict[str, Any]) -> list[Galley]:
    """Two sheets each: the galley, and the model of a sheet that continues it."""
    snapshot = Snapshot(captured)
    boxes = list(snapshot.boxes())
    starts = [at for at, box in enumerate(boxes) if box.name == "DIV.sheet"]
    sheets = [boxes[start:end] for start, end in itertools.pairwise([*starts, len(boxes)])]
    return [_galley(snapshot, galley, model) for galley, model in zip(sheets[::2], sheets[1::2], strict=True)]


def _galley(snapshot: Snapshot, boxes: list[Box], model: list[Box]) -> Galley:
    sheet, found, of_next = boxes[0], _first_of_each(boxes), _first_of_each(model)
    table, totals = found["TABLE.items"], found["DL.totals"]
    payment, notes = found.get("SECTION.payment"), found.get("SECTION.notes")
    close_bottom = max(totals.bottom, payment.bottom if payment else 0)
    floor = of_next["DIV.foot"].top - model[0].top
    lines = _notes(snapshot, boxes, notes) if notes else ()
    rows = [box for box in boxes if box.name == "TR"][1:]
    return Galley(
        head_top=found["DIV.head"].top - sheet.top,
        head_bottom=found["DIV.head"].bottom - sheet.top,
        first_top=found["THEAD"].bottom - sheet.top,
        next_top=of_next["TABLE.items"].top - model[0].top,
        rows_top=of_next["THEAD"].bottom - model[0].top,
        floor=floor,
        columns=tuple(box.width for box in boxes if box.name in {"TH", "TH.item"}),
        rows=tuple(row.height for row in rows),
        tall={
            number: _tall(snapshot, boxes, row)
            for number, row in enumerate(rows)
            if row.height > floor * TALL_SHARE
        },
        carry=found["TR.carry"].height,
        totals=totals.bottom - table.bottom,
        close=close_bottom - table.bottom,
        payment_alone=payment.height if payment else 0,
        notes_lead=lines[0].top - close_bottom if lines else 0,
        notes_lead_alone=lines[0].top - notes.top if notes and lines else 0,
        notes=lines,
    )


def _first_of_each(boxes: list[Box]) -> dict[str, Box]:
    return {box.name: box for box in reversed(boxes)}


def _tall(snapshot: Snapshot, boxes: list[Box], row: Box) -> TallRow:
    texts = {snapshot.parent(box): box for box in _within(boxes, row) if box.name == "#text"}
    title, description = texts.get("TD.item"), texts.get("P.description")
    return TallRow(snapshot.lines(title) if title else (), snapshot.lines(description) if description else ())


def _notes(snapshot: Snapshot, boxes: list[Box], notes: Box) -> tuple[TextLine, ...]:
    *_, text = (box for box in _within(boxes, notes) if box.name == "#text")
    return snapshot.lines(text)


def _within(boxes: list[Box], outer: Box) -> Iterator[Box]:
    """What stands inside ``outer`` in a column of boxes that follow each other."""
    following = itertools.islice(boxes, outer.index - boxes[0].index + 1, None)
    return itertools.takewhile(lambda box: box.top < outer.bottom, following)
