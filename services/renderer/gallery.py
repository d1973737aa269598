"""The pictures of the four templates for those who read about them: `python -m services.renderer.gallery FOLDER`.

Each template's own sample, printed and drawn as for a preview; CHROMIUM_PATH names the browser.
"""

import asyncio
import os
import sys
from pathlib import Path

from services.renderer.chromium import open_chromium
from services.renderer.fill import template_environment
from services.renderer.pdf.picture import picture
from services.renderer.press import Press
from services.renderer.preview import sample
from shared.templates import TEMPLATES

WIDTH_PX = 800


async def draw(folder: Path) -> None:
    path = os.environ.get("CHROMIUM_PATH", "chromium-headless-shell")
    async with open_chromium(path=path, sandbox=os.geteuid() != 0, pages=1, prints_max=100) as chromium:
        press = Press(template_environment(), chromium, _no_logo)
        for template in TEMPLATES:
            (pdf,) = await press.print([sample(template.id)])
            if isinstance(pdf, Exception):
                raise pdf
            (folder / f"{template.id}.png").write_bytes(picture(pdf, WIDTH_PX))


async def _no_logo(path: str) -> str:
    raise FileNotFoundError(path)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(target))
