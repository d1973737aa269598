"""A file holds of a large font what it draws, and looks and reads as it did."""

import random
from collections.abc import Callable
from io import BytesIO

import pikepdf
import pytest
from printing import page, sheet, wanted

from services.renderer.chromium import Chromium
from services.renderer.pdf.finish import finish
from services.renderer.pdf.glyphs import read

# The browser puts all of a font in for so many glyphs.
DOCUMENTS, LETTERS = 10, 200
FONT_SIZE_MAX = 80_000


def written(seed: int, scripts: tuple[tuple[int, int], ...] = ((0x4E00, 0x9FA5),)) -> str:
    chance = random.Random(seed)
    return "<p>" + "".join(chr(chance.randint(*chance.choice(scripts))) for _ in range(LETTERS))


@pytest.fixture(scope="module")
async def printed(chromium: Chromium) -> bytes:
    return await chromium.print(page(*(sheet(f"d{at}", 1, written(at)) for at in range(DOCUMENTS))))


@pytest.fixture(scope="module")
def files(printed: bytes) -> list[bytes]:
    return [each for each in finish(printed, [wanted(f"d{at}") for at in range(DOCUMENTS)]) if each]


def programs(pdf: bytes) -> list[bytes]:
    with pikepdf.open(BytesIO(pdf)) as opened:
        streams = [each for each in opened.objects if isinstance(each, pikepdf.Stream)]
        return [each.read_bytes() for each in streams if "/Length1" in each]


def test_each_is_as_small_as_what_it_draws(printed: bytes, files: list[bytes]) -> None:
    assert len(files) == DOCUMENTS
    assert len(printed) > 1_000_000
    assert max(map(len, files)) < FONT_SIZE_MAX
    assert max(len(read(program).places) for program in programs(files[0])) > LETTERS


def test_it_is_sound_and_embedded(files: list[bytes], poppler: Callable[..., bytes]) -> None:
    with pikepdf.open(BytesIO(files[0])) as opened:
        assert opened.check_pdf_syntax() == []
    fonts = poppler("pdffonts", pdf=files[0]).decode().splitlines()[2:]
    assert all("CID TrueType" in font and " yes yes yes " in font for font in fonts)


@pytest.mark.parametrize("at", [0, DOCUMENTS - 1])
def test_it_looks_and_reads_as_printed(
    at: int,
    printed: bytes,
    files: list[bytes],
    poppler: Callable[..., bytes],
    pages_of: Callable[[bytes], list[str]],
) -> None:
    assert pages_of(files[at]) == [pages_of(printed)[at]]
    number = str(at + 1)
    drawn = poppler("pdftoppm", "-r", "80", "-f", number, "-l", number, pdf=printed)
    assert poppler("pdftoppm", "-r", "80", pdf=files[at]) == drawn


async def test_glyphs_that_are_put_together_keep_their_parts(
    chromium: Chromium, poppler: Callable[..., bytes]
) -> None:
    """Korean syllables are, where a font builds them of letters, and accented Latin beside the Chinese."""
    scripts = ((0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x3041, 0x3093), (0xC0, 0x17E))
    bodies = [written(at, scripts) for at in range(DOCUMENTS)]
    printed = await chromium.print(page(*(sheet(f"d{at}", 1, body) for at, body in enumerate(bodies))))
    pdf = finish(printed, [wanted(f"d{at}") for at in range(DOCUMENTS)])[0] or b""
    drawn = poppler("pdftoppm", "-r", "80", "-f", "1", "-l", "1", pdf=printed)
    assert poppler("pdftoppm", "-r", "80", pdf=pdf) == drawn


async def test_a_print_of_small_fonts_keeps_them(chromium: Chromium) -> None:
    printed = await chromium.print(page(sheet("a")))
    pdf = finish(printed, [wanted("a")])[0] or b""
    assert set(programs(pdf)) == set(programs(printed))
