"""Previews: the sample with what is named in place of its own."""

import msgspec
import pytest

from services.renderer.preview import as_job, sample
from shared.messages import Party, PreviewJob
from shared.templates import TEMPLATES

NAMED = {
    "type": "quote", "number": "QUO-2026-000042", "locale": "de", "page_size": "letter",
    "seller": Party(name="Own Studio"), "accent_color": "#1a7f5a", "logo": "logo/acct_1/ab.png",
}  # fmt: skip


def asked(template: str, **named: object) -> PreviewJob:
    return msgspec.convert(
        {"template": template, "template_version": "x", **msgspec.to_builtins(named)}, PreviewJob
    )


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
def test_a_preview_that_names_nothing_is_the_templates_sample(template: str) -> None:
    assert as_job(asked(template)) == sample(template)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_takes_the_samples_place_and_all_else_stays(name: str) -> None:
    assert as_job(asked("clean", **{name: NAMED[name]})) == msgspec.structs.replace(
        sample("clean"), **{name: NAMED[name]}
    )


@pytest.mark.parametrize("template", ["baroque", "..", ""])
def test_a_template_that_is_not_there_is_none(template: str) -> None:
    with pytest.raises(LookupError):
        as_job(asked(template))
