"""How a PDF is written (ISO 32000-2, 7): text strings, streams, and a file whose objects are compressed in bulk.

What the objects mean is no business of this file.
"""

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

# 1.7, for readers that do not know 2.0; the second line says that the file is binary (7.5.2).
HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
# A reader inflates a whole object stream for one object of it; its index must fit a byte here.
OBJECTS_PER_STREAM = 200
INDEXES = [bytes((index,)) for index in range(OBJECTS_PER_STREAM)]
# Level 6 made a file half a per cent smaller and took twice as long.
COMPRESSION = 4
ESCAPED = re.compile(rb"[()\\\x00-\x1f\x7f]")


def text(value: str) -> bytes:
    """A text string (7.9.2.2)."""
    if value.isascii():
        return b"(%s)" % ESCAPED.sub(lambda found: b"\\%03o" % found[0][0], value.encode())
    return b"<FEFF%s>" % value.encode("utf-16-be", "replace").hex().upper().encode()


def stream(entries: bytes, content: bytes) -> bytes:
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
        written = [
            HEADER,
            *(_numbered(at, each) for at, each in enumerate(self.objects[: self.streams], start=1)),
        ]
        first_packed = self.following
        for number, start in enumerate(
            range(self.streams, len(self.objects), OBJECTS_PER_STREAM), first_packed
        ):
            packed = _object_stream(self.objects[start : start + OBJECTS_PER_STREAM], start + 1)
            written.append(_numbered(number, packed))
        offsets = list(accumulate(map(len, written)))
        rows = b"".join(
            (
                _row(0, 0, 0),
                *(_row(1, offset, 0) for offset in offsets[: self.streams]),
                *_packed_rows(len(self.objects) - self.streams, first_packed),
                *(_row(1, offset, 0) for offset in offsets[self.streams :]),
            )
        )
        written.append(_cross_references(rows, catalog, info, _file_id(written)))
        written.append(b"startxref\n%d\n%%%%EOF\n" % offsets[-1])
        return b"".join(written)


def _numbered(number: int, content: bytes) -> bytes:
    return b"%d 0 obj\n%s\nendobj\n" % (number, content)


def _object_stream(objects: Sequence[bytes], first: int) -> bytes:
    """Objects numbered from ``first`` on (7.5.7)."""
    offsets = accumulate((len(each) + 1 for each in objects[:-1]), initial=0)
    places = b" ".join(b"%d %d" % place for place in enumerate(offsets, start=first))
    entries = b"/Type/ObjStm/N %d/First %d" % (len(objects), len(places) + 1)
    return stream(entries, b"%s\n%s" % (places, b"\n".join(objects)))


def _row(kind: int, place: int, index: int) -> bytes:
    return (kind << 40 | place << 8 | index).to_bytes(6, "big")


def _packed_rows(count: int, first_packed: int) -> Iterator[bytes]:
    for number, start in enumerate(range(0, count, OBJECTS_PER_STREAM), start=first_packed):
        head = b"\2" + number.to_bytes(4, "big")
        yield from (head + index for index in INDEXES[: count - start])


def _file_id(written: Sequence[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in written:
        digest.update(part)
    return digest.hexdigest()[:32].encode()


def _cross_references(rows: bytes, catalog: int, info: int, file_id: bytes) -> bytes:
    """The table as a stream (7.5.8), itself its last row."""
    size = len(rows) // len(_row(0, 0, 0))
    entries = b"/Type/XRef/W[1 4 1]/Size %d/Root %d 0 R/Info %d 0 R/ID[<%s><%s>]" % (
        (size, catalog, info, file_id, file_id)
    )
    return _numbered(size - 1, stream(entries, rows))
