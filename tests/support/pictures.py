"""The golden pictures: which documents they show, how they are drawn, and how far two of them are apart.

As a command it draws them anew: `make pictures`.
"""

import asyncio
import base64
import itertools
import os
from collections.abc import Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image, ImageChops, ImageFilter
from pypdfium2 import PdfDocument
from soundness import sound

from deploy.local.browser import installed
from services.renderer.chromium import Chromium, open_chromium
from services.renderer.fill import template_environment
from services.renderer.press import Press
from shared.locales import PAGE_SIZES
from shared.messages import RenderJob
from shared.templates import TEMPLATES

FOLDER = Path(__file__).parents[1] / "pictures"
TEMPLATE_IDS = tuple(template.id for template in TEMPLATES)
LOCALES = ("en", "ar", "ja")
# Each type with another status, so that badges and stamps are seen as well.
STATUSES = {
    "invoice": "overdue",
    "quote": "draft",
    "receipt": "sent",
    "purchase_order": "sent",
    "estimate": "cancelled",
}
POINTS_AN_INCH = 72
DPI = 36
# Drawn that much larger first, or a hairline that moves by a tenth of a millimetre would jump to the next pixel.
FINER = 3
SCALE: Any = FINER * DPI / POINTS_AN_INCH
COLOURS = 128
# What antialiasing moves is smaller than this.
BLUR_PX = 1
# A part of the page is looked at on its own, or a small block that moves would be lost in the whole.
TILE_PX = 24
# Shades that do not count where there is nothing to see.
FAINT = 8
# The same page is up to 17 apart from its packed picture. A block that moves by 2 mm is at least 52 up or down, and 26
# sideways, unless it is small and faint.
DISTANCE_MAX = 25.0


def job(template: str, kind: str, page_size: str, locale: str) -> RenderJob:
    """A document of ten lines, with addresses, notes and how to pay."""
    status = STATUSES[kind]
    content: dict[str, Any] = msgspec.json.decode((FOLDER / f"{locale}.json").read_bytes())
    content |= {"template": template, "type": kind, "status": status, "page_size": page_size}
    content |= {"template_version": "", "updated_at": "2026-03-01T09:30:00Z"}
    if status == "draft":
        del content["number"]
    return msgspec.convert(content, RenderJob, strict=False)


def jobs(template: str, page_size: str) -> dict[str, RenderJob]:
    """By the names of their pictures."""
    return {
        f"{template}/{kind}-{page_size}-{locale}": job(template, kind, page_size, locale)
        for kind, locale in itertools.product(STATUSES, LOCALES)
    }


def press(chromium: Chromium) -> Press:
    return Press(template_environment(), chromium, logo)


async def pages(press: Press, jobs: Sequence[RenderJob]) -> list[list[Image.Image]]:
    """Each document's pages as pictures; its file is sound."""
    drawn = list[list[Image.Image]]()
    for pdf in await press.print(jobs):
        if isinstance(pdf, Exception):
            raise pdf
        drawn.append(draw(sound(pdf)))
    return drawn


def draw(pdf: bytes) -> list[Image.Image]:
    with closing(PdfDocument(pdf)) as document:
        fine = [page.render(scale=SCALE).to_pil() for page in document]
    return [page.convert("RGB").reduce(FINER) for page in fine]


def golden(name: str) -> Image.Image:
    return Image.open(FOLDER / f"{name}.png").convert("RGB")


def packed(drawn: Image.Image) -> bytes:
    """As it is kept: a few kB."""
    file = BytesIO()
    # This method keeps a colour that little is written in, such as a badge's.
    drawn.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE).save(file, "PNG", optimize=True)
    return file.getvalue()


def distance(one: Image.Image, other: Image.Image) -> float:
    """How different the most different tile is, in hundredths of what is to be seen on it."""
    if one.size != other.size:
        return 100.0
    blur = ImageFilter.BoxBlur(BLUR_PX)
    one, other = one.filter(blur), other.filter(blur)
    apart = ImageChops.difference(one, other).reduce(TILE_PX).tobytes()
    seen = ImageChops.lighter(_contrast(one), _contrast(other)).tobytes()
    return max(100 * much / (of + FAINT) for much, of in zip(apart, seen, strict=True))


def _contrast(drawn: Image.Image) -> Image.Image:
    """Of each tile, how far its pixels are from its mean."""
    means = drawn.reduce(TILE_PX)
    wide = means.resize((means.width * TILE_PX, means.height * TILE_PX), Image.Resampling.NEAREST)
    return ImageChops.difference(drawn, wide.crop((0, 0, *drawn.size))).reduce(TILE_PX)


async def logo(path: str) -> str:
    return "data:image/png;base64," + base64.b64encode((FOLDER / path).read_bytes()).decode()


async def _draw_anew() -> None:
    path = os.environ.get("CHROMIUM_PATH") or next(iter(installed(os.environ)), "")
    async with open_chromium(path=path, sandbox=os.geteuid() != 0, pages=1, prints_max=1000) as chromium:
        for template, page_size in itertools.product(TEMPLATE_IDS, PAGE_SIZES):
            (FOLDER / template).mkdir(exist_ok=True)
            named = jobs(template, page_size)
            drawn = await pages(press(chromium), list(named.values()))
            for name, (first, *_) in zip(named, drawn, strict=True):
                (FOLDER / f"{name}.png").write_bytes(packed(first))


if __name__ == "__main__":
    asyncio.run(_draw_anew())
