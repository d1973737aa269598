"""What tells a reader that a page is read in lines, where it may take it for one in columns; pure.

PDFium, which is in Chrome, takes all text of a page for vertical when it covers more of the page's height than of its
width, as a table of short words does (`CPDF_TextPage::FindTextlineFlowOrientation`), and can then neither find nor copy
a line of it. So a blank is drawn from edge to edge: two glyphs that are never painted and stand for a space (ISO
32000-2, 9.3.6 and 14.9.4).
"""

import re
from collections.abc import Callable

from services.renderer.pdf.file import stream

# A glyph that a page draws, and the number of its font.
DRAWN = re.compile(rb"/F(\d+) [\d.]+ Tf[^<]*<([0-9A-F]{4})")
BOX = re.compile(rb"\[0 0 ([\d.]+) [\d.]+\]")
# Points: of the glyphs, and between them and the page's edges.
SIZE, EDGE = 4, 10
BLANK = b"""\
q
/Artifact BMC
/Span<</ActualText<FEFF0020>>>BDC
BT
3 Tr
/F%s %d Tf
1 0 0 1 %d %d Tm
[<%s>%d<%s>]TJ
ET
EMC
EMC
Q
"""


def blank_across(content: bytes, box: bytes, *, is_composite: Callable[[int], bool]) -> bytes:
    """A stream to go before the page's own, which is inflated; empty where nothing is drawn in a composite font.

    Glyphs of other fonts may be programs, which are painted whatever one says (ISO 32000-2, 9.6.4).
    """
    drawn = next((found for found in DRAWN.finditer(content) if is_composite(int(found[1]))), None)
    edges = BOX.fullmatch(box)
    if not (drawn and edges):
        return b""
    font, glyph = drawn.groups()
    gap = int((float(edges[1]) - 2 * EDGE) / SIZE * 1000)
    return stream(b"", BLANK % (font, SIZE, EDGE, EDGE, glyph, -gap, glyph))
