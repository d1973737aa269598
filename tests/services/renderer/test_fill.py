"""Templates are filled with text only, and hold the catalogue."""

from collections.abc import Callable

import pytest
from jinja2 import Environment, TemplateNotFound, UndefinedError
from jinja2.exceptions import SecurityError

from services.renderer.fill import FOLDER, fill
from services.renderer.page import document_page
from services.renderer.sheets import one_sheet
from shared.messages import RenderJob
from shared.templates import TEMPLATES


def test_the_catalogue_is_what_the_folders_hold() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert folders == {template.id for template in TEMPLATES}
    for folder in folders:
        assert {path.name for path in (FOLDER / folder).iterdir()} == {
            "document.html",
            "style.css",
            "sample.json",
        }


@pytest.mark.parametrize("template", ["", "unknown", "../templates/clean", "_base.html"])
def test_no_other_template_can_be_had(
    template: str, templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    page = document_page(example("invoice-clean"))
    with pytest.raises(TemplateNotFound):
        fill(templates, template, [(page, one_sheet(page))])


def test_a_template_can_reach_nothing_but_its_page(templates: Environment) -> None:
    with pytest.raises(SecurityError):
        templates.from_string("{{ ''.__class__.__mro__ }}{{ x.y }}").render()
    with pytest.raises(UndefinedError):
        templates.from_string("{{ absent }}").render()
