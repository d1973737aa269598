"""A file that `finish` wrote, read back by its object table; nothing else is understood."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from services.renderer.pdf.file import OFFSET_SIZE, ROW_SIZE

STRING = rb"(?:\((?:[^()\\]|\\.)*\)|<[0-9A-F]*>)"
END = re.compile(rb"startxref\n(\d+)\n%%EOF\n\Z")
END_SIZE_MAX = 60
TABLE = re.compile(
    rb"\d+ 0 obj\n<</Type/XRef/W\[1 %d 1\]/Size \d+/Root (\d+) 0 R/Info (\d+) 0 R[^()]*/Length (\d+)>>stream\n"
    % OFFSET_SIZE
)
PACK = re.compile(rb"<</Type/ObjStm/N \d+/First (\d+)/Filter/FlateDecode/Length (\d+)>>stream\n")
TITLE = re.compile(rb"<</Title(" + STRING + rb")")


class FinishedError(Exception):
    """The file is none that was finished here."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Objects by their numbers: ``streams`` as they stand, and ``objects``, which were compressed."""

    streams: dict[int, bytes]
    objects: dict[int, bytes]
    catalog: int
    info: int

    @property
    def title(self) -> bytes:
        """As a PDF string."""
        found = TITLE.match(self.objects[self.info])
        return found[1] if found else b"()"

    def leads_to(self, number: int, key: bytes) -> int:
        """The object that an object's entry refers to, 0 when it has none."""
        found = re.search(rb"/%s (\d+) 0 R" % key, self.objects[number])
        return int(found[1]) if found else 0

    def kids(self, number: int, key: bytes) -> list[int]:
        found = re.search(rb"/%s\[([\d R]*)\]" % key, self.objects[number])
        return [int(kid) for kid in re.findall(rb"(\d+) 0 R", found[1])] if found else []


def read(pdf: bytes) -> Finished:
    """Raises FinishedError."""
    end = END.search(pdf, max(0, len(pdf) - END_SIZE_MAX))
    table = TABLE.match(pdf, int(end[1])) if end else None
    if not (end and table):
        raise FinishedError("There is no table of objects")
    try:
        rows = zlib.decompress(pdf[table.end() : table.end() + int(table[3])])
        written = dict(_written(pdf, rows, int(end[1])))
        packs = {number: pack for number, content in written.items() if (pack := PACK.match(content))}
        streams = {number: content for number, content in written.items() if number not in packs}
        objects = dict(one for pack in packs.values() for one in _unpacked(pack))
    except (ValueError, zlib.error) as error:
        raise FinishedError("The file is broken") from error
    return Finished(streams, objects, catalog=int(table[1]), info=int(table[2]))


def _written(pdf: bytes, rows: bytes, end: int) -> Iterator[tuple[int, bytes]]:
    starts = [
        int.from_bytes(rows[at + 1 : at + ROW_SIZE - 1], "big")
        for at in range(0, len(rows), ROW_SIZE)
        if rows[at] == 1
    ]
    for start, following in pairwise(sorted({*starts, end})):
        number, _, content = pdf[start:following].removesuffix(b"\nendobj\n").partition(b" 0 obj\n")
        yield int(number), content


def _unpacked(pack: re.Match[bytes]) -> Iterator[tuple[int, bytes]]:
    content = zlib.decompress(pack.string[pack.end() : pack.end() + int(pack[2])])
    first = int(pack[1])
    places = [int(number) for number in content[:first].split()]
    for number, (start, end) in zip(
        places[::2], pairwise([*places[1::2], len(content) - first + 1]), strict=True
    ):
        yield number, content[first + start : first + end - 1]
