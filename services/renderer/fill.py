"""Documents' words put into a template's HTML; whatever a customer wrote comes out as text."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from services.renderer.page import DocumentPage
from services.renderer.sheets import Sheet, mark
from shared.templates import TEMPLATES

FOLDER = Path(__file__).parent / "templates"

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
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def fill(environment: Environment, template: str, documents: Sequence[Document]) -> str:
    """One print of documents that have a paper size in common.

    Raises TemplateNotFound for a template that is not in the catalogue, KeyError for unknown paper.
    """
    if template not in {known.id for known in TEMPLATES}:
        raise TemplateNotFound(template)
    paper = PAPERS[documents[0][0].page_size]
    frame = environment.get_template(f"{template}/document.html")
    return frame.render(paper=paper, documents=documents, mark=mark)
