"""The browser's print cut into the files of its documents, with metadata of our own; pure.

Nothing is left that says when, where or beside what a document was printed.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count

from services.renderer.layout.sheets import mark
from services.renderer.page import DocumentPage
from services.renderer.pdf.across import blank_across
from services.renderer.pdf.file import File, references, stream, text
from services.renderer.pdf.metadata import Description, information, metadata_packet
from services.renderer.pdf.outline import Entry, outline
from services.renderer.pdf.printed import Printed, PrintedError, PrintedPage, read
from services.renderer.pdf.proof import ProvedSheet, prove
from services.renderer.pdf.tags import Tags, retag
from services.renderer.pdf.trim import Trimmer, inflated, mapped


class Wanted(Description, frozen=True, kw_only=True):
    """A document that should be in a print, on ``sheets`` sheets, and what its file says about itself."""

    document_id: str
    sheets: int


def wanted(page: DocumentPage, *, sheets: int, updated_at: datetime) -> Wanted:
    return Wanted(
        document_id=page.document_id,
        sheets=sheets,
        language=page.language,
        title=page.file_title,
        author=page.author,
        subject=page.subject,
        updated_at=updated_at,
    )


def finish(printed: bytes, documents: Sequence[Wanted]) -> list[bytes | None]:
    """A file for each, None for a document that cannot be proved to have its pages for itself.

    The same bytes for the same print, whichever browser printed it and whenever. Raises PrintedError.
    """
    try:
        source = read(printed)
        trimmer = Trimmer(source)
        proved = prove(source, [_marks(each) for each in documents])
        return [
            _file(source, sheets, each, trimmer) if sheets else None
            for sheets, each in zip(proved, documents, strict=True)
        ]
    except (LookupError, ValueError, zlib.error) as error:
        raise PrintedError("A part of the print is missing or broken") from error


def _marks(document: Wanted) -> list[str]:
    return [
        f"{document.language}-{mark(document.document_id, number)}"
        for number in range(1, document.sheets + 1)
    ]


def _file(source: Printed, sheets: Sequence[ProvedSheet], document: Wanted, trimmer: Trimmer) -> bytes:
    streams, resources = _needed(source, sheets)
    trimmed = trimmer.trim(sheets, streams)
    blanks = _blanks(source, sheets)
    file = File(streams=len(streams) + len(trimmed) + len(blanks) + 1)
    catalog, info, tree = file.reserve(3)
    pages = file.reserve(len(sheets))
    new = dict(zip(streams, count(1), strict=False))
    new |= dict(zip(resources, file.reserve(len(resources)), strict=True))
    for old in (*streams, *resources):
        file.put(new[old], source.content(old).numbered(new))
    for glyphs, (font, program) in enumerate(trimmed.items(), start=len(streams) + 1):
        file.put(new[program.number], program.content)
        file.put(glyphs, program.glyphs)
        file.put(new[font], mapped(source.content(font).numbered(new), glyphs))
    before = dict(zip(blanks, count(len(streams) + len(trimmed) + 1), strict=False))
    for page, number in before.items():
        file.put(number, blanks[page])
    packet = file.streams
    file.put(packet, stream(b"/Type/Metadata/Subtype/XML", metadata_packet(document)))
    file.put(info, information(document))
    file.put(tree, b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), references(pages)))
    for key, (page, sheet) in enumerate(zip(pages, sheets, strict=True)):
        contents = [before[sheet.page.number]] if sheet.page.number in before else []
        contents.append(new[sheet.page.contents])
        file.put(page, _page(sheet.page, new, tree, key, contents))
    structure, headings = _add_structure(file, source, dict(zip(pages, sheets, strict=True)), document)
    outlines = file.add(outline(headings, file.following))
    file.put(catalog, _catalog(document, tree=tree, structure=structure, outlines=outlines, packet=packet))
    return file.written(catalog=catalog, info=info)


def _blanks(source: Printed, sheets: Sequence[ProvedSheet]) -> dict[int, bytes]:
    """By pages that are nothing but a table: the first one has more on it."""
    later = [sheet.page for sheet in sheets[1:]]
    blanks = {
        page.number: blank_across(
            inflated(source, page.contents),
            page.box,
            is_composite=lambda font: b"\n/Subtype /Type0" in source.object(font),
        )
        for page in later
    }
    return {page: blank for page, blank in blanks.items() if blank}


def _page(page: PrintedPage, new: Mapping[int, int], tree: int, key: int, contents: Sequence[int]) -> bytes:
    return b"<</Type/Page/Parent %d 0 R/MediaBox%s/Resources%s/Contents[%s]/StructParents %d/Tabs/S>>" % (
        (tree, page.box, page.resources.numbered(new), references(contents), key)
    )


def _catalog(document: Wanted, *, tree: int, structure: int, outlines: range, packet: int) -> bytes:
    return (
        b"<</Type/Catalog/Pages %d 0 R/MarkInfo<</Marked true>>/StructTreeRoot %d 0 R%s"
        b"/ViewerPreferences<</DisplayDocTitle true>>/Lang%s/Metadata %d 0 R>>"
    ) % (
        tree,
        structure,
        b"/Outlines %d 0 R" % outlines.start if outlines else b"",
        text(document.language),
        packet,
    )


def _add_structure(
    file: File, source: Printed, sheets: Mapping[int, ProvedSheet], document: Wanted
) -> tuple[int, list[Entry]]:
    """The number of the structure's root, and the headings for the outline; ``sheets`` are by their page's number."""
    root, parents, top = file.reserve(3)
    owners = file.reserve(len(sheets))
    tops, entries = list[int](), list[Entry]()
    for own, (page, sheet) in zip(owners, sheets.items(), strict=True):
        tags = retag(source, sheet, page=page, above=top, first=file.following)
        tops.append(file.add(tags.elements).start)
        file.put(own, b"[%s]" % b" ".join(tags.owners))
        entries += _entries(source, sheet, tags, page)
    nums = b" ".join([b"%d %d 0 R" % numbered for numbered in enumerate(owners)])
    file.put(
        root,
        b"<</Type/StructTreeRoot/K %d 0 R/ParentTree %d 0 R/ParentTreeNextKey %d>>"
        % (top, parents, len(sheets)),
    )
    file.put(parents, b"<</Nums[%s]>>" % nums)
    file.put(
        top, b"<</S/Document/Lang%s/P %d 0 R/K[%s]>>" % (text(document.language), root, references(tops))
    )
    return root, entries


def _entries(source: Printed, sheet: ProvedSheet, tags: Tags, page: int) -> Iterator[Entry]:
    for heading in source.headings_of(sheet.article):
        if heading.page != sheet.page.number or heading.element not in tags.headings:
            raise PrintedError("A heading is not where the outline says")
        level, element = tags.headings[heading.element]
        yield Entry(level, heading.title, b"/Dest[%d 0 R%s]/SE %s" % (page, heading.place, element))


def _needed(source: Printed, sheets: Sequence[ProvedSheet]) -> tuple[list[int], list[int]]:
    """What the pages are drawn with, as far as that goes: streams, and other objects."""
    streams = [sheet.page.contents for sheet in sheets]
    left = [number for sheet in sheets for number in sheet.page.resources.needs]
    others: list[int] = []
    for number in left:
        if number in streams or number in others:
            continue
        resource = source.resource(number)
        (streams if resource.content else others).append(number)
        left += resource.needs
    if not all(source.content(number).content for number in streams):
        raise PrintedError("A page has no content")
    return streams, others
