"""A logo drawn anew: any PNG, JPEG or SVG on standard input becomes a small PNG of our own on standard output.

Run as a process of its own, `python -I drawing.py MEDIA_TYPE`, under limits of memory, CPU and files, since what it
reads was written by anybody. It imports nothing of the product. Exit code 3: refused, with a sentence instead.
"""

import resource
import struct
import sys
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from xml.parsers import expat  # with entities refused, it only looks; the SVG is drawn by resvg

import resvg_py
from PIL import Image, ImageOps

REFUSED = 3
WIDTH_MAX, HEIGHT_MAX = 1200, 600
PIXELS_MAX = 25_000_000
PNG_BYTES_MAX = 500_000  # a logo goes into each PDF
SHRINK = 0.7
MEMORY_BYTES_MAX = 448 * 1024**2
CPU_S_MAX = 5
ELEMENTS_MAX = 20_000
COLOURS = 256

_EMBEDDED = ("data:image/png;", "data:image/jpeg;", "data:image/jpg;")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, IndexError)
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


class Refused(Exception):  # noqa: N818 - a refusal, told in a sentence for the caller
    pass


def main() -> int:
    data = sys.stdin.buffer.read()
    _warm_up()
    _shut_in()
    try:
        drawn = DRAWERS[sys.argv[1]](data)
    except Refused as refused:
        sys.stdout.write(str(refused))
        return REFUSED
    sys.stdout.buffer.write(drawn)
    return 0


def _warm_up() -> None:
    """Have everything imported that any picture may take, while files can still be opened."""
    Image.init()
    dot = Image.new("RGB", (1, 1))
    for kind in ("PNG", "JPEG"):
        written = BytesIO()
        dot.save(written, kind)
        draw_bitmap(written.getvalue(), kind)
    draw_svg(b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>")


def _shut_in() -> None:
    """From here on: no file and no socket can be opened, and neither memory nor time be had without end.

    Where the machine itself runs short, this process is to be ended before the gateway is.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def draw_bitmap(data: bytes, kind: str) -> bytes:
    """The first picture of the file, upright, without any of its metadata; raises Refused."""
    try:
        with Image.open(BytesIO(data), formats=(kind,)) as image:
            if image.width * image.height > PIXELS_MAX:
                raise Refused(f"The image has more than {PIXELS_MAX // 1_000_000} million pixels")
            image.draft("RGB", (WIDTH_MAX, WIDTH_MAX))
            image.load()
            return _small_png(_plain(image))
    except MemoryError:
        raise Refused("The image is too large to be drawn") from None
    except _UNREADABLE:
        raise Refused(f"The image is damaged, or no {kind}") from None


def draw_svg(data: bytes) -> bytes:
    """The picture as large as a logo may be, for it has no pixels of its own; raises Refused."""
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise Refused("The SVG is not in UTF-8") from None
    _look_through(text)
    try:
        drawn = resvg_py.svg_to_bytes(
            svg_string=text, width=WIDTH_MAX, height=HEIGHT_MAX, skip_system_fonts=True
        )
    except ValueError:
        raise Refused("The SVG cannot be drawn: it is damaged, or has no size") from None
    return draw_bitmap(drawn, "PNG")


DRAWERS: dict[str, Callable[[bytes], bytes]] = {
    "image/png": lambda data: draw_bitmap(data, "PNG"),
    "image/jpeg": lambda data: draw_bitmap(data, "JPEG"),
    "image/svg+xml": draw_svg,
}


def _look_through(text: str) -> None:
    """Refuse what would have to be fetched, expanded or set in type."""
    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = _refuse_entities
    parser.StartElementHandler = _Elements().start
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise Refused(f"The SVG is not well-formed: {error}") from None


def _refuse_entities(*_: object) -> None:
    raise Refused("The SVG declares entities; save it without them")


class _Elements:
    def __init__(self) -> None:
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = _local(name)
        self._count += 1
        if self._count == 1 and element != "svg":
            raise Refused("The file is no SVG")
        if self._count > ELEMENTS_MAX:
            raise Refused(f"The SVG has more than {ELEMENTS_MAX:,} elements")
        if element == "text":
            raise Refused("The SVG holds text, for which there is no font; convert it to paths")
        if element != "a" and any(
            _local(key) == "href" and _is_outside(attributes[key]) for key in attributes
        ):
            raise Refused("The SVG refers to something outside of itself; embed it as PNG or JPEG")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _is_outside(href: str) -> bool:
    return not href.strip().lower().startswith(("#", *_EMBEDDED))


def _plain(image: Image.Image) -> Image.Image:
    """As RGB, or as RGBA where something may shine through; large pictures are not copied without need."""
    if image.mode == "I;16":  # of which nothing else here understands more than the upper half
        return Image.frombytes("L", image.size, image.tobytes()[1::2]).convert("RGB")
    mode = "RGBA" if image.mode in _WITH_ALPHA or "transparency" in image.info else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _small_png(image: Image.Image) -> bytes:
    """Upright within a logo's bounds, and smaller still until it is light enough."""
    image.thumbnail((WIDTH_MAX, WIDTH_MAX), reducing_gap=2)
    upright = _without_clear(ImageOps.exif_transpose(image))
    upright.thumbnail((WIDTH_MAX, HEIGHT_MAX))
    png = _png(upright)
    while len(png) > PNG_BYTES_MAX:
        width, height = (max(1, int(side * SHRINK)) for side in upright.size)
        upright = upright.resize((width, height))
        png = _png(upright)
    return png


def _without_clear(image: Image.Image) -> Image.Image:
    """As RGB if nothing shines through."""
    opaque = image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
    return image.convert("RGB") if opaque else image


def _png(image: Image.Image) -> bytes:
    """With a palette where that loses nothing."""
    few = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    lossless = few.convert(image.mode).tobytes() == image.tobytes()
    written = BytesIO()
    (few if lossless else image).save(written, "PNG", optimize=True, exif=None, icc_profile=None)
    return written.getvalue()


Image.MAX_IMAGE_PIXELS = None  # told apart above, by a sentence

if __name__ == "__main__":
    sys.exit(main())
