"""Each template's sample is a document that its picture can be drawn from."""

from collections.abc import Awaitable, Callable
from io import BytesIO

import pytest
from PIL import Image

from services.renderer.gallery import WIDTH_PX
from services.renderer.pdf.picture import picture
from services.renderer.preview import sample
from shared.messages import RenderJob
from shared.templates import TEMPLATES


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_a_sample_is_one_page_in_its_own_template_and_shows_how_to_pay(
    template: str, pdf_of: Callable[[RenderJob], Awaitable[bytes]], text_of: Callable[[bytes], str]
) -> None:
    job = sample(template)
    assert job.template == template
    pdf = await pdf_of(job)
    text = text_of(pdf)
    assert "Page 1 of 1" in text
    assert "Scan to pay" in text
    drawn = picture(pdf, WIDTH_PX)
    assert Image.open(BytesIO(drawn)).width == WIDTH_PX
    assert len(drawn) < 150_000
