"""A PDF as a picture, for those who want to see it before they choose: PDFium draws it, as Chrome would show it."""

from contextlib import closing
from io import BytesIO
from threading import Lock

from PIL.Image import Quantize
from pypdfium2 import PdfDocument

# A page of text and flat colour looks the same in so few, at a quarter of the bytes.
COLOURS = 64
# PDFium's own state is not safe between threads.
DRAWING = Lock()


def picture(pdf: bytes, width_px: int) -> bytes:
    """The first page as a PNG; raises pypdfium2's PdfiumError for what is no PDF."""
    with DRAWING, closing(PdfDocument(pdf)) as document:
        page = document[0]
        # A side is rounded up to whole pixels, and must not be by an error of the division.
        drawn = page.render(scale=(width_px - 0.5) / page.get_width()).to_pil()
    small = BytesIO()
    # This method keeps colours that little is written in, as a badge's, and is the quicker one as well.
    drawn.quantize(COLOURS, method=Quantize.MAXCOVERAGE).save(small, "PNG", optimize=True)
    return small.getvalue()
