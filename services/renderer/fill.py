"""A document's words put into a template's HTML; whatever a customer wrote comes out as text."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.renderer.page import DocumentPage
from shared.templates import TEMPLATES

FOLDER = Path(__file__).parent / "templates"


def template_environment() -> Environment:
    """The templates, compiled once at their first use."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["css_string"] = css_string
    return environment


def fill(environment: Environment, template: str, page: DocumentPage) -> str:
    """Raises TemplateNotFound for a template that is not in the catalogue."""
    if template not in {known.id for known in TEMPLATES}:
        raise TemplateNotFound(template)
    return environment.get_template(f"{template}/document.html").render(page=page)


def css_string(text: str) -> str:
    """The inside of a CSS string in which only letters and digits stand for themselves (CSS Syntax 4.3.7)."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text)
