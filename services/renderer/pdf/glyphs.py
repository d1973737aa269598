"""A TrueType font cut down to the glyphs that are drawn (OpenType 1.9: glyf, loca, hmtx, maxp); pure."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

# What a font program in a PDF may need (ISO 32000-2, 9.9.1), in the order of their tags.
TABLES = (b"cvt ", b"fpgm", b"glyf", b"head", b"hhea", b"hmtx", b"loca", b"maxp", b"prep")
ENTRY = struct.Struct(">4sIII")
# Where tables hold what is changed here.
LOCA_FORMAT, CHECKSUM, METRICS_COUNT, GLYPHS_COUNT = 50, 8, 34, 4
LONG_OFFSETS = 1
MAGIC = 0xB1B0AFBA
# The first byte of its count of contours, which is below zero.
COMPOSITE = 0x80
# Flags of a part of a glyph that is put together from others, and by how much each makes it longer.
WORDS, MORE = 0x1, 0x20
SCALES = {0x8: 2, 0x40: 4, 0x80: 8}


@dataclass(frozen=True, slots=True)
class Face:
    """A font program's tables by their tags, and where each glyph's outline begins and the last one ends."""

    version: bytes
    tables: Mapping[bytes, bytes]
    places: Sequence[int]

    def outline(self, glyph: int) -> bytes:
        return self.tables[b"glyf"][self.places[glyph] : self.places[glyph + 1]]

    def metrics(self, glyph: int) -> bytes:
        """Its advance and the room before it; the last advances are alike, and there once (OpenType, hmtx)."""
        widths, (full,) = self.tables[b"hmtx"], struct.unpack_from(">H", self.tables[b"hhea"], METRICS_COUNT)
        if glyph < full:
            return widths[4 * glyph : 4 * glyph + 4]
        return widths[4 * full - 4 : 4 * full - 2] + widths[2 * full + 2 * glyph :][:2]

    def subset(self, drawn: Iterable[int]) -> tuple[bytes, dict[int, int]]:
        """A font program of these glyphs and what they are put together from, and their numbers in it."""
        new = self._numbered(drawn)
        outlines = [_renumbered(self.outline(glyph), new) for glyph in new]
        places = accumulate(map(len, outlines), initial=0)
        count = struct.pack(">H", len(new))
        head = _with(
            _with(self.tables[b"head"], LOCA_FORMAT, struct.pack(">h", LONG_OFFSETS)), CHECKSUM, bytes(4)
        )
        changed = {
            b"glyf": b"".join(outlines),
            b"head": head,
            b"hhea": _with(self.tables[b"hhea"], METRICS_COUNT, count),
            b"hmtx": b"".join(map(self.metrics, new)),
            b"loca": struct.pack(f">{len(new) + 1}I", *places),
            b"maxp": _with(self.tables[b"maxp"], GLYPHS_COUNT, count),
        }
        tables = {tag: changed.get(tag) or self.tables[tag] for tag in TABLES if tag in self.tables}
        return _program(self.version, tables), new

    def _numbered(self, drawn: Iterable[int]) -> dict[int, int]:
        """The first glyph stands for all that are missing, and must be there."""
        left = [0, *sorted(glyph for glyph in drawn if 0 < glyph < len(self.places) - 1)]
        new: dict[int, int] = {}
        for glyph in left:
            if glyph not in new:
                new[glyph] = len(new)
                left += (part for _, part in _parts(self.outline(glyph)))
        return new


def read(font: bytes) -> Face:
    """Raises KeyError or struct.error for what is no TrueType font."""
    (count,) = struct.unpack_from(">H", font, 4)
    entries = [ENTRY.unpack_from(font, 12 + ENTRY.size * at) for at in range(count)]
    tables = {tag: font[start : start + size] for tag, _, start, size in entries}
    (is_long,) = struct.unpack_from(">h", tables[b"head"], LOCA_FORMAT)
    (glyphs,) = struct.unpack_from(">H", tables[b"maxp"], GLYPHS_COUNT)
    if is_long:
        return Face(font[:4], tables, struct.unpack_from(f">{glyphs + 1}I", tables[b"loca"]))
    return Face(font[:4], tables, [2 * at for at in struct.unpack_from(f">{glyphs + 1}H", tables[b"loca"])])


def _parts(outline: bytes) -> Iterator[tuple[int, int]]:
    """Where a glyph that is put together names its parts, and which they are (OpenType, glyf)."""
    if not outline or outline[0] < COMPOSITE:
        return
    at, flags = 10, MORE
    while flags & MORE:
        flags, glyph = struct.unpack_from(">HH", outline, at)
        yield at + 2, glyph
        at += 8 if flags & WORDS else 6
        at += sum(size for flag, size in SCALES.items() if flags & flag)


def _renumbered(outline: bytes, new: Mapping[int, int]) -> bytes:
    for at, glyph in _parts(outline):
        outline = _with(outline, at, struct.pack(">H", new[glyph]))
    return outline + bytes(-len(outline) % 4)


def _with(table: bytes, at: int, value: bytes) -> bytes:
    return table[:at] + value + table[at + len(value) :]


def _program(version: bytes, tables: Mapping[bytes, bytes]) -> bytes:
    """A font file (OpenType, table directory); the sums are for readers that look at them."""
    power = len(tables).bit_length() - 1
    directory = version + struct.pack(
        ">HHHH", len(tables), 16 << power, power, 16 * (len(tables) - (1 << power))
    )
    padded = [table + bytes(-len(table) % 4) for table in tables.values()]
    places = list(accumulate(map(len, padded), initial=len(directory) + ENTRY.size * len(tables)))
    for tag, whole, place in zip(tables, padded, places, strict=False):
        directory += ENTRY.pack(tag, _sum(whole), place, len(tables[tag]))
    program = b"".join((directory, *padded))
    adjusted = struct.pack(">I", (MAGIC - _sum(program)) & 0xFFFFFFFF)
    return _with(program, places[list(tables).index(b"head")] + CHECKSUM, adjusted)


def _sum(words: bytes) -> int:
    return sum(struct.unpack(f">{len(words) // 4}I", words)) & 0xFFFFFFFF
