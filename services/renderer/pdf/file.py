"""How a PDF is written (ISO 32000-2, 7): text strings, streams, and a file whose objects are compressed in bulk.

What the objects mean is no business of this file.
"""

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

# 1.7, for readers that do not know 2.0; the second line says that the file is binary (7.5.2).
HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
# A reader inflates a whole object stream for one object of it; its index must fit a byte here.
OBJECTS_PER_STREAM = 200
# Level 4 made a file one per cent smaller, and took 6 % of finishing; level 6 another half.
COMPRESSION = 1
# Of a file of many documents, which may have more than 4 GB.
OFFSET_SIZE = 5
ROW_SIZE = OFFSET_SIZE + 2
FREE = b"\0" * ROW_SIZE
FILE_ID_DIGITS = 32
Numbered = tuple[int, bytes]
T = TypeVar("T")
ESCAPED = re.compile(rb"[()\\\x00-\x1f\x7f]")


def text(value: str) -> bytes:
    """A text string (7.9.2.2)."""
    if value.isascii():
        return b"(%s)" % ESCAPED.sub(lambda found: b"\\%03o" % found[0][0], value.encode())
    return b"<FEFF%s>" % value.encode("utf-16-be", "replace").hex().upper().encode()


def stream(entries: bytes, content: bytes | bytearray) -> bytes:
    """A stream that is compressed here; ``entries`` of its dictionary may be empty."""
    packed = zlib.compress(content, COMPRESSION)
    return b"<<%s/Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (entries, len(packed), packed)


def references(numbers: Iterable[int]) -> bytes:
    return b" ".join([b"%d 0 R" % number for number in numbers])


class File:
    """Objects by their numbers: ``streams`` of them come first, each as it is, the others are compressed together."""

    def __init__(self, streams: int) -> None:
        self.streams = streams
        self.objects = [b""] * streams

    @property
    def following(self) -> int:
        """The number of the object that is reserved or added next."""
        return len(self.objects) + 1

    def reserve(self, count: int) -> range:
        """Numbers to be put to later."""
        first = self.following
        self.objects += [b""] * count
        return range(first, first + count)

    def put(self, number: int, content: bytes) -> None:
        self.objects[number - 1] = content

    def add(self, contents: Sequence[bytes]) -> range:
        """The numbers that they got."""
        first = self.following
        self.objects += contents
        return range(first, first + len(contents))

    def written(self, *, catalog: int, info: int) -> bytes:
        """The same objects are the same bytes, id and all."""
        written = [HEADER, *(indirect(*each) for each in enumerate(self.objects[: self.streams], start=1))]
        packed, first = list[bytes](), self.streams + 1
        for number, part in enumerate(batched(self.objects[self.streams :]), start=self.following):
            written.append(indirect(number, object_stream(range(first, first + len(part)), part)))
            packed += packed_rows(number, len(part))
            first += len(part)
        offsets = list(accumulate(map(len, written)))
        plain = [row(offset) for offset in offsets]
        rows = b"".join((FREE, *plain[: self.streams], *packed, *plain[self.streams :]))
        body = b"".join(written)
        file_id = hashlib.sha256(body).digest()
        return body + cross_references(rows, offsets[-1], file_id, catalog=catalog, info=info)


def indirect(number: int, content: bytes) -> bytes:
    return b"%d 0 obj\n%s\nendobj\n" % (number, content)


def batched(objects: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many as one object stream takes."""
    for start in range(0, len(objects), OBJECTS_PER_STREAM):
        yield objects[start : start + OBJECTS_PER_STREAM]


def object_stream(numbers: Sequence[int], contents: Sequence[bytes]) -> bytes:
    """Objects in one stream (7.5.7)."""
    offsets = accumulate([len(content) + 1 for content in contents[:-1]], initial=0)
    places = b" ".join([b"%d %d" % place for place in zip(numbers, offsets, strict=True)])
    entries = b"/Type/ObjStm/N %d/First %d" % (len(contents), len(places) + 1)
    return stream(entries, b"%s\n%s" % (places, b"\n".join(contents)))


def row(offset: int) -> bytes:
    """Where an object begins, in the table of all objects (7.5.8.3)."""
    return b"\1%s\0" % offset.to_bytes(OFFSET_SIZE, "big")


def packed_rows(number: int, count: int) -> list[bytes]:
    """Which object stream so many objects stand in, and as which of its objects."""
    start = b"\2%s" % number.to_bytes(OFFSET_SIZE, "big")
    return [b"%s%c" % (start, index) for index in range(count)]


def cross_references(
    rows: bytes | bytearray, offset: int, file_id: bytes, *, catalog: int, info: int
) -> bytes:
    """The end of a file: its table as a stream at ``offset`` (7.5.8), itself the last row, and where it is.

    Of ``file_id``, a digest of all before, as much is told as is usual.
    """
    size = len(rows) // ROW_SIZE
    told = file_id.hex()[:FILE_ID_DIGITS].encode()
    entries = b"/Type/XRef/W[1 %d 1]/Size %d/Root %d 0 R/Info %d 0 R/ID[<%s><%s>]" % (
        (OFFSET_SIZE, size, catalog, info, told, told)
    )
    return b"%sstartxref\n%d\n%%%%EOF\n" % (indirect(size - 1, stream(entries, rows)), offset)
