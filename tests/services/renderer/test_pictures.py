"""Every template draws every type as it was drawn when somebody last looked at it: `make pictures` draws anew."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pictures
import pytest
from jinja2 import ChoiceLoader, DictLoader
from PIL import ImageColor

from services.renderer.chromium import Chromium
from services.renderer.fill import FOLDER, template_environment
from services.renderer.press import Press
from shared.locales import PAGE_SIZES
from shared.messages import RenderJob

# WCAG 2.2, 1.4.3, of large text.
LARGE_TEXT_CONTRAST = 3.0
Restyled = Callable[[str, str], Press]

MOVES = {
    "the totals, down": ".totals { translate: 0 2mm }",
    "the client, down": ".client { translate: 0 2mm }",
    "the notes, up": ".notes { translate: 0 -2mm }",
    "the table, sideways": ".items { translate: 2mm 0 }",
    "the title, sideways": "h1 { translate: 2mm 0 }",
}


@pytest.fixture(scope="session")
def press(chromium: Chromium) -> Press:
    return pictures.press(chromium)


@pytest.fixture
def restyled(chromium: Chromium) -> Restyled:
    """A press whose template has some more style."""

    def change(template: str, style: str) -> Press:
        name, environment = f"{template}/style.css", template_environment()
        assert environment.loader
        changed = DictLoader({name: (FOLDER / name).read_text() + style})
        environment.loader = ChoiceLoader([changed, environment.loader])
        return Press(environment, chromium, pictures.logo)

    return change


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("template", pictures.TEMPLATE_IDS)
async def test_ten_lines_with_all_that_belongs_to_them_are_one_page_and_look_the_same(
    template: str, page_size: str, press: Press, tmp_path: Path
) -> None:
    named = pictures.jobs(template, page_size)
    drawn = dict(zip(named, await pictures.pages(press, list(named.values())), strict=True))
    assert {name: len(pages) for name, pages in drawn.items() if len(pages) != 1} == {}
    apart = {name: pictures.distance(pages[0], pictures.golden(name)) for name, pages in drawn.items()}
    changed = {name: far for name, far in apart.items() if far > pictures.DISTANCE_MAX}
    for name in changed:
        drawn[name][0].save(tmp_path / f"{name.replace('/', '-')}.png")
    assert changed == {}, f"Drawn as in {tmp_path}"


@pytest.mark.parametrize("move", MOVES)
async def test_a_block_that_moves_by_two_millimetres_is_seen(move: str, restyled: Restyled) -> None:
    assert await _apart(restyled("clean", MOVES[move]), _invoice()) > pictures.DISTANCE_MAX


@pytest.mark.parametrize("colour", ["#1f3be0", "#2f5be0"])
async def test_a_colour_that_changes_is_seen(colour: str, restyled: Restyled) -> None:
    style = f":root {{ --accent: {colour} }}"
    assert await _apart(restyled("modern", style), _invoice("modern")) > pictures.DISTANCE_MAX


async def test_what_moves_by_less_than_anybody_sees_is_the_same(restyled: Restyled) -> None:
    moved = restyled("clean", ".sheet > * { translate: 0.05mm 0.05mm }")
    assert await _apart(moved, _invoice()) < pictures.DISTANCE_MAX


@pytest.mark.parametrize(
    "accent", ["#ffffff", "#ffd400", "#808080", "#0d9488", "#d0021b", "#2f3be0", "#000000"]
)
async def test_what_stands_on_an_accent_can_be_read(accent: str, press: Press) -> None:
    job = msgspec.structs.replace(_invoice("modern"), accent_color=accent)
    ((drawn, *_),) = await pictures.pages(press, [job])
    title = drawn.crop((10, 40, 150, 70))
    ground = title.getpixel((0, 0))
    assert isinstance(ground, tuple)
    assert ground == pytest.approx(ImageColor.getrgb(accent), abs=1)
    inks = [
        colour for _, colour in title.getcolors(title.width * title.height) or [] if isinstance(colour, tuple)
    ]
    assert max(_contrast(ground, ink) for ink in inks) > LARGE_TEXT_CONTRAST


def _contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: tuple[int, ...]) -> float:
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in colour[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _invoice(template: str = "clean") -> RenderJob:
    return pictures.job(template, "invoice", "a4", "en")


async def _apart(press: Press, job: RenderJob) -> float:
    ((drawn, *_),) = await pictures.pages(press, [job])
    return pictures.distance(
        drawn, pictures.golden(f"{job.template}/{job.type}-{job.page_size}-{job.locale}")
    )
