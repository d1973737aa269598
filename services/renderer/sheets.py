"""The sheets that a document is printed on; pure."""

import hashlib

import msgspec

from services.renderer.page import DocumentPage, Line


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


def one_sheet(page: DocumentPage) -> tuple[Sheet, ...]:
    """All of a document on one sheet, whether it fits or not."""
    return (
        Sheet(
            number=1,
            count=1,
            lines=page.lines,
            totals=True,
            payment=bool(page.payment),
            notes=page.notes,
            notes_begin=True,
        ),
    )
