"""The sheets that a document is printed on; pure."""

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from services.renderer.layout.galley import Galley
from services.renderer.layout.lines import cut, fitting, joined
from services.renderer.layout.rows import rows_of, take
from services.renderer.page import DocumentPage, Line

# What stands on a sheet in lines of text, about: all but the address, a row without its description, what is above
# and between notes, and how to pay.
SHEET_LINES = 45
ROW_LINES = 1.75
NOTES_LINES = 3
PAYMENT_LINES = 2
CHARACTERS_A_LINE = 65
# Totals and how to pay stay together unless they take more of a sheet.
CLOSE_SHARE_MAX = 0.6
ZOOM_SHARE = 0.97
# Fewer do not begin at the foot of a sheet.
NOTES_LINES_MIN = 2


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on one page of paper: page ``number`` of ``count``.

    ``lines`` are the document's own, but for a line that flows over sheets, of which each has a part. ``columns`` are
    widths in CSS pixels, none where the browser may choose them; ``head_zoom`` and ``payment_zoom`` shrink what would
    fill more than a sheet.
    """

    number: int
    count: int
    lines: tuple[Line, ...] = ()
    columns: tuple[float, ...] = ()
    brought: str = ""
    carried: str = ""
    totals: bool = False
    payment: bool = False
    notes: str = ""
    notes_begin: bool = False
    head_zoom: float = 1
    payment_zoom: float = 1


def mark(document_id: str, number: int) -> str:
    """What names a sheet in a print, as private subtags of its language (BCP 47, 2.2.7); ``number`` counts from 1."""
    digest = hashlib.sha256(document_id.encode()).hexdigest()
    return f"x-{digest[:8]}-{digest[8:16]}-p{number}"


def fits_likely(page: DocumentPage) -> bool:
    """A guess that costs nothing, by the lines that a document has about; wrong ones cost a print."""
    address = max(len(party.place) + len(party.contact) for party in (page.seller, page.client))
    rows = sum(ROW_LINES + _lines_of(line.description) for line in page.lines)
    ends = (NOTES_LINES + _lines_of(page.notes) if page.notes else 0) + (PAYMENT_LINES if page.payment else 0)
    return address + rows + ends <= SHEET_LINES


def one_sheet(page: DocumentPage) -> tuple[Sheet, ...]:
    """All of a document on one sheet, whether it fits or not."""
    return (_whole(page),)


def paginate(
    galley: Galley, page: DocumentPage, subtotal: Callable[[int], str], *, slack_px: float = 0
) -> tuple[Sheet, ...]:
    """A document's sheets by its measured heights; ``subtotal`` writes the sum of so many lines from the first.

    Rows stay whole but for those that are higher than a sheet, and the totals keep a row beside them. ``slack_px``
    stays free at the foot of each sheet.
    """
    floor = galley.floor - slack_px
    beside = galley.close <= floor * CLOSE_SHARE_MAX
    galley = msgspec.structs.replace(galley, floor=floor, totals=galley.close if beside else galley.totals)
    sheets, bottom = _items(galley, page, subtotal)
    if page.payment and beside:
        sheets[-1] = msgspec.structs.replace(sheets[-1], payment=True)
    elif page.payment:
        payment, bottom = _payment(galley)
        sheets.append(payment)
    if galley.notes:
        sheets = [*sheets[:-1], *_notes(galley, page.notes, sheets[-1], bottom)]
    return tuple(
        msgspec.structs.replace(sheet, number=number, count=len(sheets))
        for number, sheet in enumerate(sheets, start=1)
    )


def _items(galley: Galley, page: DocumentPage, subtotal: Callable[[int], str]) -> tuple[list[Sheet], float]:
    """The sheets of the table, and where on the last of them its totals end."""
    rest, sheets, begun, top = rows_of(galley, page.lines), list[Sheet](), 0, galley.first_top
    if galley.head_bottom > galley.floor:
        top = galley.floor
    while True:
        brought = galley.carry if begun else 0
        taken, rest = take(galley, rest, top + brought, fresh=bool(sheets))
        sheet = _head(galley) if not sheets else Sheet(number=0, count=0)
        before, begun = begun, begun + sum(row.begins for row in taken)
        sheet = msgspec.structs.replace(
            sheet,
            lines=tuple(row.line for row in taken),
            columns=galley.columns,
            brought=subtotal(before) if before else "",
            carried=subtotal(begun) if rest and taken else "",
            totals=not rest,
        )
        sheets.append(sheet)
        if not rest:
            return sheets, top + brought + sum(row.height for row in taken) + galley.totals
        top = galley.rows_top


def _head(galley: Galley) -> Sheet:
    """The first sheet; a head that fills more than one is made smaller, and stands alone."""
    zoom = _zoom(galley.head_bottom - galley.head_top, galley.floor - galley.head_top)
    return Sheet(number=0, count=0, head_zoom=zoom)


def _payment(galley: Galley) -> tuple[Sheet, float]:
    """How to pay on a sheet that begins with it, and where on it that ends; what fills more is made smaller."""
    zoom = _zoom(galley.payment_alone, galley.floor - galley.next_top)
    return Sheet(number=0, count=0, payment=True, payment_zoom=zoom), (
        galley.next_top + galley.payment_alone * zoom
    )


def _notes(galley: Galley, text: str, last: Sheet, bottom: float) -> Iterator[Sheet]:
    """``last`` with as many lines as stand below ``bottom``, and the sheets of all the others."""
    count = fitting(galley.notes, galley.floor - bottom - galley.notes_lead)
    if count == len(galley.notes):
        yield msgspec.structs.replace(last, notes=text, notes_begin=True)
        return
    here, rest = cut(galley.notes, count if count >= NOTES_LINES_MIN else 0)
    yield msgspec.structs.replace(last, notes=joined(here), notes_begin=bool(here))
    begun = bool(here)
    while rest:
        lead = 0 if begun else galley.notes_lead_alone
        count = fitting(rest, galley.floor - galley.next_top - lead)
        here, rest = cut(rest, max(count, 1))
        yield Sheet(number=0, count=0, notes=joined(here), notes_begin=not begun)
        begun = True


def galley_sheets(page: DocumentPage) -> tuple[Sheet, Sheet]:
    """What `galley.measure` measures: all that may stand on a document's sheets, and how the next one begins.

    The total stands for the subtotals that are carried, which are hardly ever wider.
    """
    carry = page.total.value
    whole = msgspec.structs.replace(_whole(page), brought=carry, carried=carry)
    return whole, Sheet(number=2, count=2, brought=carry)


def _zoom(height: float, room: float) -> float:
    """Letters and rules come in whole steps, so that what is made smaller may turn out a little higher."""
    return 1 if height <= room else round(room / height * ZOOM_SHARE, 4)


def _lines_of(text: str) -> int:
    return text.count("\n") + -(-len(text) // CHARACTERS_A_LINE)


def _whole(page: DocumentPage) -> Sheet:
    return Sheet(
        number=1,
        count=1,
        lines=page.lines,
        totals=True,
        payment=bool(page.payment),
        notes=page.notes,
        notes_begin=True,
    )
