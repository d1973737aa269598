"""Finished files joined into one, written as they come, in bounded memory.

Pages, tags and outlines stay, each document's below an entry with its title; what files have alike, as the fonts of
one print, is written once.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.renderer.pdf.file import (
    FREE,
    HEADER,
    ROW_SIZE,
    Numbered,
    batched,
    cross_references,
    indirect,
    object_stream,
    packed_rows,
    references,
    row,
    stream,
    text,
)
from services.renderer.pdf.finished import STRING, Finished, FinishedError, read
from services.renderer.pdf.metadata import Description, information, metadata_packet

REFERENCE = re.compile(STRING + rb"|(\d+) 0 R")
KEY = re.compile(rb"/StructParents (\d+)")
# A viewer on its way to a page passes all the older kids of a node.
KIDS_PER_NODE = 100
# A print's fonts are met again soon or never.
STREAMS_REMEMBERED = 1000
DIGEST_SIZE = 16
# What is written at last, and referred to from the first document on.
CATALOG, INFO, PACKET, PAGES, STRUCTURE, DOCUMENT, TAGS, OUTLINE = range(1, 9)
FIXED = 9


@dataclass(slots=True)
class _Node:
    """Documents that follow each other: the roots of their pages and of their tags' tables, and how far they go."""

    number: int
    first: int
    pages: list[int] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)


class Merger:
    """`add` and `end` give the next bytes of the file; some bytes for each of its objects are all that is kept."""

    def __init__(self) -> None:
        self._out = _Output()
        self._streams: OrderedDict[bytes, bytes] = OrderedDict()
        self._pages = 0
        self._node = _Node(self._out.reserve(), first=0)
        self._nodes: list[tuple[int, int]] = []
        self._documents: list[int] = []
        self._entry: tuple[int, bytes] = (0, b"")
        self._first_entry = 0

    def add(self, pdf: bytes) -> bytes:
        """Append a finished file; raises FinishedError, and nothing has been appended then."""
        try:
            copy = _Copy(read(pdf), self._out, self._streams)
            self._out.pack([*copy.objects(self._node.number, self._pages), *self._entries(copy)])
        except LookupError as error:
            raise FinishedError("The file lacks an object") from error
        self._documents.append(copy.new(copy.document))
        self._node.pages.append(copy.new(copy.tree))
        self._node.tags.append(copy.new(copy.tags))
        self._pages += len(copy.pages)
        if len(self._node.pages) == KIDS_PER_NODE:
            self._end_node()
            self._node = _Node(self._out.reserve(), first=self._pages)
        return self._out.take()

    def end(self, described: Description) -> bytes:
        """What the whole says about itself; nothing can be added any more."""
        if self._node.pages:
            self._end_node()
        self._out.write(PACKET, stream(b"/Type/Metadata/Subtype/XML", metadata_packet(described)))
        self._out.pack([*self._last_entry(), *self._roots(described)])
        self._out.close()
        return self._out.take()

    def _end_node(self) -> None:
        node, tags = self._node, self._out.reserve()
        count, last = self._pages - node.first, self._pages - 1
        self._out.pack(
            [
                (
                    node.number,
                    b"<</Type/Pages/Parent %d 0 R/Count %d/Kids[%s]>>"
                    % (PAGES, count, references(node.pages)),
                ),
                (tags, b"<</Limits[%d %d]/Kids[%s]>>" % (node.first, last, references(node.tags))),
            ]
        )
        self._nodes.append((node.number, tags))

    def _entries(self, copy: "_Copy") -> Iterator[Numbered]:
        """The entry before, which can be written now that the next one's number is known."""
        number, links = copy.outline()
        before, entry = self._entry
        start = b"<</Title%s/Parent %d 0 R/Dest[%d 0 R/XYZ null null null]%s" % (
            (copy.file.title, OUTLINE, copy.new(copy.pages[0]), links)
        )
        if before:
            yield before, b"%s/Next %d 0 R>>" % (entry, number)
            start += b"/Prev %d 0 R" % before
        self._first_entry = self._first_entry or number
        self._entry = (number, start)

    def _last_entry(self) -> Iterator[Numbered]:
        number, entry = self._entry
        if number:
            yield number, entry + b">>"
            entries = (self._first_entry, number, len(self._documents))
            yield OUTLINE, b"<</Type/Outlines/First %d 0 R/Last %d 0 R/Count %d>>" % entries

    def _roots(self, described: Description) -> Iterator[Numbered]:
        language = text(described.language)
        nodes, tags = references(node for node, _ in self._nodes), references(tags for _, tags in self._nodes)
        outlines = b"/Outlines %d 0 R" % OUTLINE if self._first_entry else b""
        yield (
            CATALOG,
            b"<</Type/Catalog/Pages %d 0 R/MarkInfo<</Marked true>>/StructTreeRoot %d 0 R%s"
            b"/ViewerPreferences<</DisplayDocTitle true>>/Lang%s/Metadata %d 0 R>>"
            % (PAGES, STRUCTURE, outlines, language, PACKET),
        )
        yield INFO, information(described)
        yield PAGES, b"<</Type/Pages/Count %d/Kids[%s]>>" % (self._pages, nodes)
        yield (
            STRUCTURE,
            b"<</Type/StructTreeRoot/K %d 0 R/ParentTree %d 0 R/ParentTreeNextKey %d>>"
            % (DOCUMENT, TAGS, self._pages),
        )
        yield TAGS, b"<</Kids[%s]>>" % tags
        yield DOCUMENT, b"<</S/Document/P %d 0 R/K[%s]>>" % (STRUCTURE, references(self._documents))


class _Copy:
    """A finished file whose objects get the numbers that they have in the whole; its streams are written at once."""

    def __init__(self, file: Finished, out: "_Output", streams: OrderedDict[bytes, bytes]) -> None:
        self.file, self._out, self._streams = file, out, streams
        structure = file.leads_to(file.catalog, b"StructTreeRoot")
        self.tree = file.leads_to(file.catalog, b"Pages")
        self.pages = file.kids(self.tree, b"Kids")
        self._keys = {number: key for key, number in enumerate(self.pages)}
        self.document = file.leads_to(structure, b"K")
        self.tags = file.leads_to(structure, b"ParentTree")
        self._outline = file.leads_to(file.catalog, b"Outlines")
        left_out = {file.catalog, file.info, structure}
        self._objects = [number for number in file.objects if number not in left_out]
        self._names = {b"%d" % number: b"%d 0 R" % out.reserve() for number in self._objects}
        self._names[b"%d" % structure] = b"%d 0 R" % DOCUMENT
        for number in file.streams.keys() - {file.leads_to(file.catalog, b"Metadata")}:
            self._name(b"%d" % number)

    def new(self, number: int) -> int:
        return int(self._names[b"%d" % number].partition(b" ")[0])

    def objects(self, parent: int, first: int) -> Iterator[Numbered]:
        """All but the outline; ``parent`` is above the pages, which are counted from ``first``."""
        heads = {
            self.tree: (b"<</Type/Pages", b"<</Type/Pages/Parent %d 0 R" % parent),
            self.document: (b"<</S/Document", b"<</S/Part/T%s" % self.file.title),
        }
        for number in self._objects:
            content = self._renamed(self.file.objects[number])
            if number in heads:
                was, becomes = heads[number]
                content = becomes + content.removeprefix(was)
            elif number in self._keys:
                content = KEY.sub(b"/StructParents %d" % (first + self._keys[number]), content)
            elif number == self.tags:
                content = self._tags(first)
            if number != self._outline:
                yield self.new(number), content

    def _tags(self, first: int) -> bytes:
        owners = [self.new(number) for number in self.file.kids(self.tags, b"Nums")]
        numbered = b" ".join([b"%d %d 0 R" % each for each in enumerate(owners, start=first)])
        return b"<</Limits[%d %d]/Nums[%s]>>" % (first, first + len(owners) - 1, numbered)

    def outline(self) -> tuple[int, bytes]:
        """What becomes the document's entry, and what it says of the entries below; closed, or they would be many."""
        if not self._outline:
            return self._out.reserve(), b""
        links = self._renamed(self.file.objects[self._outline])
        links = links.removeprefix(b"<</Type/Outlines").removesuffix(b">>")
        return self.new(self._outline), links.replace(b"/Count ", b"/Count -")

    def _renamed(self, content: bytes) -> bytes:
        return REFERENCE.sub(lambda found: self._name(found[1]) if found[1] else found[0], content)

    def _name(self, number: bytes) -> bytes:
        if number not in self._names:
            self._names[number] = self._stream(self.file.streams[int(number)])
        return self._names[number]

    def _stream(self, content: bytes) -> bytes:
        """A reference to it, or to one just like it."""
        entries, start, body = content.partition(b"stream\n")
        content = self._renamed(entries) + start + body
        digest = hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()
        known = self._streams.pop(digest, b"")
        if not known:
            number = self._out.reserve()
            self._out.write(number, content)
            known = b"%d 0 R" % number
        self._streams[digest] = known
        if len(self._streams) > STREAMS_REMEMBERED:
            self._streams.popitem(last=False)
        return known


class _Output:
    """Gives out numbers, and knows where each object lies."""

    def __init__(self) -> None:
        self._rows = bytearray(FREE * FIXED)
        self._parts = [HEADER]
        self._size = len(HEADER)
        self._digest = hashlib.sha256(HEADER)

    def reserve(self) -> int:
        self._rows += FREE
        return len(self._rows) // ROW_SIZE - 1

    def write(self, number: int, content: bytes) -> None:
        self._place(number, row(self._size))
        self._append(indirect(number, content))

    def pack(self, objects: Sequence[Numbered]) -> None:
        for part in batched(objects):
            pack = self.reserve()
            numbers = [number for number, _ in part]
            self.write(pack, object_stream(numbers, [content for _, content in part]))
            for number, where in zip(numbers, packed_rows(pack, len(part)), strict=True):
                self._place(number, where)

    def close(self) -> None:
        """The table of all that was written, its own row the last."""
        start = self._size
        table = self.reserve()
        self._place(table, row(start))
        self._append(cross_references(self._rows, start, self._digest.digest(), catalog=CATALOG, info=INFO))

    def take(self) -> bytes:
        """What was written since."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def _place(self, number: int, where: bytes) -> None:
        self._rows[number * ROW_SIZE : (number + 1) * ROW_SIZE] = where

    def _append(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        self._digest.update(part)
