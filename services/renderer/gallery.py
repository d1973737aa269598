"""The pictures of the four templates for those who read about them: `python -m services.renderer.gallery FOLDER`.

Each template's own sample, printed as a worker prints it and drawn by poppler; CHROMIUM_PATH names the browser.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from io import BytesIO
from pathlib import Path

import msgspec
from PIL import Image

from services.renderer.chromium import open_chromium
from services.renderer.fill import FOLDER, fill, template_environment
from services.renderer.page import document_page
from services.renderer.sheets import one_sheet
from shared.messages import RenderJob
from shared.templates import TEMPLATES

WIDTH_PX = 800
# A page of text and flat colour looks the same in so few, at a quarter of the bytes.
COLOURS = 64


async def draw(folder: Path) -> None:
    path = os.environ.get("CHROMIUM_PATH", "")
    async with open_chromium(path=path, sandbox=os.geteuid() != 0, pages=1, prints_max=100) as chromium:
        for template in TEMPLATES:
            page = document_page(sample(template.id))
            pdf = await chromium.print(fill(template_environment(), template.id, [(page, one_sheet(page))]))
            (folder / f"{template.id}.png").write_bytes(await picture(pdf))


def sample(template: str) -> RenderJob:
    return msgspec.json.decode((FOLDER / template / "sample.json").read_bytes(), type=RenderJob)


async def picture(pdf: bytes) -> bytes:
    """The first page as a PNG."""
    command = ("pdftoppm", "-png", "-singlefile", "-scale-to-x", str(WIDTH_PX), "-scale-to-y", "-1", "-")
    poppler = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    drawn, _ = await poppler.communicate(pdf)
    small = BytesIO()
    Image.open(BytesIO(drawn)).quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(target))
