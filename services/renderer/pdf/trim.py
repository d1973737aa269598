"""Fonts of a print cut down to what one of its documents draws, where that pays.

The documents of a print share its fonts, and for some thousand glyphs the browser puts all of a font in: megabytes, in
a file that draws fifty. Numbers in the text stay; a map leads from them to the glyphs that are left.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from services.renderer.pdf.file import stream
from services.renderer.pdf.glyphs import Face, read
from services.renderer.pdf.printed import Printed
from services.renderer.pdf.proof import ProvedSheet

# Bytes of a font as it is compressed, which those of no European language reach.
FONT_SIZE_MIN = 40_000
DRAWN = re.compile(rb"/F(\d+) [\d.]+ Tf|<([0-9A-F]+)>")
PROGRAM = re.compile(rb"<</Length1 \d+\n/Filter /FlateDecode\n/Length (\d+)>> stream\n")
IDENTITY = b"/CIDToGIDMap /Identity"
# No font is the first object.
SMALL = (0, 0)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What becomes of a font program, by its number in the print, and the map from glyphs in the text to its own."""

    number: int
    content: bytes
    glyphs: bytes


class Trimmer:
    """The large fonts of a print, each read once."""

    def __init__(self, source: Printed) -> None:
        self._source = source
        self._large: dict[int, tuple[int, int]] = {}
        self._faces: dict[int, Face] = {}

    def trim(self, sheets: Sequence[ProvedSheet], streams: Sequence[int]) -> dict[int, Trimmed]:
        """By the number of the font that refers to the program; where text is drawn in other ways too, nothing."""
        if all(len(self._source.content(number).content) <= FONT_SIZE_MIN for number in streams):
            return {}
        fonts = sorted(
            {font for sheet in sheets for font in sheet.page.resources.needs if self._font(font) != SMALL}
        )
        if not fonts or any(
            b"/Form" in piece for number in streams for piece in self._source.content(number).pieces
        ):
            return {}
        drawn = self._drawn(sheets, fonts)
        trimmed = {self._font(font): self._subset(self._font(font)[1], drawn[font]) for font in fonts}
        return {font: program for (font, _), program in trimmed.items() if program}

    def _font(self, number: int) -> tuple[int, int]:
        """The font below a composite one (ISO 32000-2, 9.7.6) and its program, when that is large."""
        if number not in self._large:
            self._large[number] = self._read_font(number)
        return self._large[number]

    def _read_font(self, number: int) -> tuple[int, int]:
        composite = self._source.object(number)
        below = re.search(rb"\n/DescendantFonts \[(\d+) 0 R\]", composite)
        font = self._source.object(int(below[1])) if below else b""
        descriptor = re.search(rb"\n/FontDescriptor (\d+) 0 R", font)
        program = descriptor and re.search(
            rb"\n/FontFile2 (\d+) 0 R", self._source.object(int(descriptor[1]))
        )
        if not (below and program and IDENTITY in font):
            return SMALL
        size = PROGRAM.match(self._source.object(int(program[1])))
        return (int(below[1]), int(program[1])) if size and int(size[1]) > FONT_SIZE_MIN else SMALL

    def _drawn(self, sheets: Sequence[ProvedSheet], fonts: Sequence[int]) -> dict[int, set[int]]:
        """The glyphs that pages draw of each of the fonts, which Skia names by their numbers."""
        found = {font: set[int]() for font in fonts}
        for sheet in sheets:
            current: set[int] | None = None
            for font, shown in DRAWN.findall(inflated(self._source, sheet.page.contents)):
                if font:
                    current = found.get(int(font))
                elif current is not None:
                    current.update(struct.unpack(f">{len(shown) // 4}H", bytes.fromhex(shown.decode())))
        return found

    def _subset(self, program: int, drawn: set[int]) -> Trimmed | None:
        """Nothing for a font that is not understood, which stays whole."""
        try:
            if program not in self._faces:
                self._faces[program] = read(inflated(self._source, program))
            font, new = self._faces[program].subset(drawn)
        except (LookupError, struct.error, zlib.error):
            return None
        glyphs = bytearray(2 * max(new) + 2)
        for glyph, number in new.items():
            struct.pack_into(">H", glyphs, 2 * glyph, number)
        return Trimmed(program, stream(b"/Length1 %d" % len(font), font), stream(b"", glyphs))


def mapped(font: bytes, glyphs: int) -> bytes:
    """The font with the map that has the number ``glyphs``."""
    return font.replace(IDENTITY, b"/CIDToGIDMap %d 0 R" % glyphs)


def inflated(source: Printed, number: int) -> bytes:
    """What a stream of the print holds."""
    return zlib.decompress(source.content(number).content.partition(b" stream\n")[2])
