"""Documents' words put into a template's HTML; whatever a customer wrote comes out as text."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound
from markupsafe import Markup

from services.renderer.layout.sheets import Sheet, mark
from services.renderer.page import DocumentPage
from shared.templates import TEMPLATES

FOLDER = Path(__file__).parent / "templates"
# Not what every template's own font writes in all its weights: Latin, Greek, Cyrillic and their punctuation. To name
# the fonts of all other scripts costs a print a tenth of its time, so they are named where one may be needed.
OTHER_SCRIPTS = re.compile(
    "[^\0-~\xa0-\xac\xae-\xb1\xb4-\xb8\xba-\u0113\u0116-\u012b\u012e-\u0131\u0134-\u0137\u0139-\u013e\u0141-\u0148"
    "\u014a-\u014d\u0150-\u017e\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u03ce\u0400-\u045f\u0490\u0491\u1ea0-\u1ef9"
    "\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a"
    "\u20a9\u20ab\u20ac\u20b9\u20ba\u20bd\u2116\u2122\u2212]"
)

MINUS = Markup('<span class="sign">-</span>')

Document = tuple[DocumentPage, Sequence[Sheet]]


class Paper(msgspec.Struct, frozen=True):
    """A size of paper by its name in CSS."""

    name: str
    width_mm: float
    height_mm: float

    @property
    def width_px(self) -> int:
        """In CSS pixels, of which 96 are an inch."""
        return round(self.width_mm * 96 / 25.4)


PAPERS = {paper.name: paper for paper in (Paper("A4", 210, 297), Paper("letter", 215.9, 279.4))}


def template_environment() -> Environment:
    """The templates, compiled once at their first use.

    They are ours and may do what they like; Jinja's sandbox, which guards against others', took half of filling.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # As a macro it took half of filling.
    environment.filters["figure"] = figure
    return environment


def figure(text: str) -> str:
    """An amount as it is set: a minus sign is no digit, and looks wrong in a digit's width."""
    return MINUS + text[1:] if text.startswith("-") else text


def fill(
    environment: Environment, template: str, documents: Sequence[Document], *, measured: bool = False
) -> str:
    """One print of documents that have paper and logo in common, or what is ``measured`` before one.

    Raises TemplateNotFound for a template that is not in the catalogue, KeyError for unknown paper.
    """
    if template not in {known.id for known in TEMPLATES}:
        raise TemplateNotFound(template)
    first, _ = documents[0]
    frame = environment.get_template(f"{template}/document.html")
    other_scripts = _other_scripts(documents)
    return frame.render(
        paper=PAPERS[first.page_size],
        picture=first.logo,
        documents=documents,
        other_scripts=other_scripts,
        measured=measured,
        mark=mark,
    )


def _other_scripts(documents: Sequence[Document]) -> bool:
    words = msgspec.json.encode([msgspec.structs.replace(page, logo="") for page, _ in documents]).decode()
    return OTHER_SCRIPTS.search(words) is not None
