"""What is done to the browser's PDF: metadata of our own, and nothing left that says when or where it was printed."""

import re
from datetime import UTC, datetime
from io import BytesIO

import pikepdf

from services.renderer.metadata import PRODUCER, metadata_packet
from services.renderer.page import DocumentPage

STRUCTURE_ID = re.compile(rb"(?<=\(node)\d{8}(?=\))")


def finish(printed: bytes, page: DocumentPage, updated_at: datetime) -> bytes:
    """The same bytes for the same document, whichever browser printed it and whenever."""
    finished = BytesIO()
    with pikepdf.open(BytesIO(_renumber(printed))) as pdf:
        _describe(pdf, page, updated_at.astimezone(UTC))
        pdf.save(finished, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return finished.getvalue()


def _renumber(printed: bytes) -> bytes:
    """Count the structure's ids from one; Chromium counts them through all the documents of a page's life."""
    found = sorted(set(STRUCTURE_ID.findall(printed)))
    numbers = {old: b"%08d" % new for new, old in enumerate(found, start=1)}
    return STRUCTURE_ID.sub(lambda match: numbers[match[0]], printed)


def _describe(pdf: pikepdf.Pdf, page: DocumentPage, updated_at: datetime) -> None:
    stamp = updated_at.strftime("D:%Y%m%d%H%M%SZ")
    told = pikepdf.Dictionary(
        Title=page.file_title,
        Author=page.author,
        Subject=page.subject,
        Creator=PRODUCER,
        Producer=PRODUCER,
        CreationDate=stamp,
        ModDate=stamp,
    )
    pdf.docinfo = pdf.make_indirect(told)
    packet = pdf.make_stream(metadata_packet(page, updated_at))
    packet.Type, packet.Subtype = pikepdf.Name.Metadata, pikepdf.Name.XML
    pdf.Root.Metadata = packet
    pdf.Root.Lang = pikepdf.String(page.language)
    pdf.Root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)
