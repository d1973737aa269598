"""Images for tests: files as a caller would send them, sane and hostile."""

import struct
import zlib
from io import BytesIO

from PIL import Image


def picture(
    size: tuple[int, int] = (300, 100), colour: str | tuple[int, ...] = "teal", mode: str = "RGB"
) -> Image.Image:
    return Image.new(mode, size, colour)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    written = BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def decoded(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=("PNG",))


def svg(
    inside: str = '<circle cx="20" cy="20" r="20" fill="teal"/>', size: str = 'width="100" height="40"'
) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inside}</svg>'.encode()


def declared(width: int, height: int) -> bytes:
    """A PNG that says to be of this size, and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
