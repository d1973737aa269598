"""Templates are filled with text only, and hold the catalogue."""

import re
from collections.abc import Callable

import msgspec
import pytest
from jinja2 import Environment, TemplateNotFound, UndefinedError

from services.renderer.fill import FOLDER, PAPERS, fill
from services.renderer.layout.sheets import Sheet, mark, one_sheet
from services.renderer.page import Row, document_page
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


def test_what_looks_like_a_template_in_a_customers_text_is_text(
    templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), notes="{{ ''.__class__ }}{% include 'x' %}")
    page = document_page(job)
    html = fill(templates, "clean", [(page, one_sheet(page))])
    assert "{{ &#39;&#39;.__class__ }}{% include &#39;x&#39; %}" in html


def test_a_template_that_names_what_is_not_there_is_refused(templates: Environment) -> None:
    with pytest.raises(UndefinedError):
        templates.from_string("{{ absent }}").render()


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
def test_every_sheet_has_its_mark_direction_accent_and_number(
    template: str, templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), locale="ar", accent_color="#aa0011")
    pages = [document_page(msgspec.structs.replace(job, document_id=each)) for each in ("doc_1", "doc_2")]
    sheets = [Sheet(number=number, count=2, lines=pages[0].lines) for number in (1, 2)]
    html = fill(templates, template, [(page, sheets) for page in pages])
    opened = re.findall(
        r'<article lang="([^"]+)">\s*<div class="([^"]+)" lang="ar" dir="rtl" style="([^"]+)"', html
    )
    assert [(lang, kind) for lang, kind, _ in opened] == [
        (f"ar-{mark(page.document_id, number)}", kind)
        for page in pages
        for kind, number in (("sheet", 1), ("sheet next", 2))
    ]
    assert {style for _, _, style in opened} == {"--accent: #aa0011"}
    assert html.count("<h1>") == 2
    assert html.count('class="foot" aria-hidden="true"') == 4


def test_paper_is_the_documents_own(templates: Environment, example: Callable[[str], RenderJob]) -> None:
    page = document_page(msgspec.structs.replace(example("invoice-clean"), page_size="letter"))
    html = fill(templates, "clean", [(page, one_sheet(page))])
    assert "@page { size: letter; margin: 0; }" in html
    assert "width: 215.9mm; min-height: 279.4mm;" in html
    assert {name: paper.width_px for name, paper in PAPERS.items()} == {"A4": 794, "letter": 816}


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
def test_what_is_not_there_leaves_no_element(
    template: str, templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    """Each element costs its share of a print."""
    page = msgspec.structs.replace(document_page(example("invoice-clean")), notes="", payment=(), stamp="")
    bare = fill(templates, template, [(page, one_sheet(page))]).partition("<body>")[2]
    assert not re.search(r"<(img|svg)|class=.(notes|payment|stamp|code)", bare)
    full = msgspec.structs.replace(
        page,
        notes="n",
        stamp="DRAFT",
        logo="data:image/png;base64,",
        payment=(Row("IBAN", "DE89"),),
        payment_code="M0 0h1v1z",
        payment_code_size=29,
    )
    body = fill(templates, template, [(full, one_sheet(full))]).partition("<body>")[2]
    assert 'alt="Northwind Studio"' in body
    assert 'role="img" aria-label="' in body
    assert 'viewBox="0 0 29 29"' in body
    for part in ("notes", "payment", "stamp"):
        assert re.search(rf'class="{part}\b', body)


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
def test_a_logo_is_told_once_however_many_sheets_show_it(
    template: str, templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    picture = f"data:image/png;base64,{'A' * 1000}"
    pages = [document_page(example("invoice-clean"), picture) for _ in range(3)]
    html = fill(templates, template, [(page, one_sheet(page)) for page in pages])
    assert html.count(picture) == 1
    assert html.count('<img class="logo" alt="Northwind Studio">') == len(pages)


def test_a_row_costs_few_elements(templates: Environment, example: Callable[[str], RenderJob]) -> None:
    page = document_page(example("invoice-clean"))
    few, many = (
        fill(templates, "clean", [(each, one_sheet(each))]).count("</")
        for each in (page, msgspec.structs.replace(page, lines=(*page.lines, page.lines[0])))
    )
    assert many - few == 6
