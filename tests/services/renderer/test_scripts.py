"""Whatever script a customer writes in, it is drawn in outlines that are shipped, and is read out as it was put in."""

import re
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from soundness import sound

from services.renderer.fill import OTHER_SCRIPTS
from services.renderer.press import Press
from shared.locales import LOCALES
from shared.messages import RenderJob
from shared.templates import TEMPLATES

Poppler = Callable[..., bytes]

# No vowel marks and no commas in what runs from right to left: poppler reads them on the other side of their letter.
SCRIPTS = {
    "Latin": "Zażółć gęślą jaźń · Straße · İstanbul · Đà Nẵng · Ærø",
    "Greek": "Τιμολόγιο Ελληνικής Εταιρείας",
    "Cyrillic": "Рахунок-фактура · Їжак · Ђорђе",
    "Arabic": "شركة التصميم الحديثة المحدودة والسلام الإجمالي",
    "Persian": "فروشگاه پارچه و کفش چرمی ژاله گل",
    "Hebrew": "חשבונית מס של החברה בע״מ",
    "Devanagari": "कार्यालय क्षेत्र हिन्दी चालान",
    "Thai": "ใบกำกับภาษี ที่อยู่ น้ำดื่ม",
    "Chinese": "增值税发票 骨直令刃海 臺灣發票",
    "Japanese": "請求書 株式会社 ひらがな カタカナ 髙島屋",
    "Korean": "세금계산서 주식회사 한글",
    "emoji": "🧾 😀 🎉 ✓ ☎",
}
ALL_IN_ONE_LINE = "Ab Ωβ Жю سلام שלום हिन्दी ไทย 中文 ひら 한글 🧾"
# What tells a bidirectional text's order to a reader, and is no part of it.
DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
HAN = "骨直令刃海"
HAN_FONTS = {"ja": "NotoSansJP", "ko": "NotoSansKR"}


@pytest.fixture
def read(poppler: Poppler) -> Callable[[bytes], str]:
    """All the words in reading order, with single spaces between them."""
    return lambda pdf: " ".join(DIRECTIONS.sub("", poppler("pdftotext", pdf=pdf).decode()).split())


@pytest.fixture
def fonts(poppler: Poppler) -> Callable[[bytes], list[str]]:
    return lambda pdf: poppler("pdffonts", pdf=pdf).decode().splitlines()[2:]


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_names_items_and_notes_come_out_as_they_were_put_in(
    template: str, press: Press, example: Callable[[str], RenderJob], read: Callable[[bytes], str]
) -> None:
    invoice = msgspec.structs.replace(example("invoice-clean"), template=template)
    pdfs = await press.print([written(invoice, text) for text in SCRIPTS.values()])
    found = {
        script: squeezed(read(sound(pdf))).count(squeezed(text))
        for (script, text), pdf in zip(SCRIPTS.items(), pdfs, strict=True)
        if isinstance(pdf, bytes)
    }
    # The client's name, an item's title and its description, and the notes.
    assert found == dict.fromkeys(SCRIPTS, 4)


async def test_arabic_words_stay_whole(
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    example: Callable[[str], RenderJob],
    read: Callable[[bytes], str],
) -> None:
    pdf = await pdf_of(written(example("invoice-clean"), SCRIPTS["Arabic"]))
    assert set(SCRIPTS["Arabic"].split()) <= set(read(pdf).split())


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_every_script_stands_in_one_line_and_in_true_outlines(
    template: str,
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    example: Callable[[str], RenderJob],
    fonts: Callable[[bytes], list[str]],
    read: Callable[[bytes], str],
) -> None:
    invoice = msgspec.structs.replace(example("invoice-clean"), template=template)
    pdf = await pdf_of(written(invoice, ALL_IN_ONE_LINE))
    text = squeezed(read(pdf))
    assert [word for word in ALL_IN_ONE_LINE.split() if text.count(word) < 4] == []
    assert all("CID TrueType" in font and " yes yes yes " in font for font in fonts(pdf))


@pytest.mark.parametrize("locale", LOCALES)
async def test_a_han_character_has_the_form_of_the_documents_language(
    locale: str,
    pdf_of: Callable[[RenderJob], Awaitable[bytes]],
    example: Callable[[str], RenderJob],
    fonts: Callable[[bytes], list[str]],
) -> None:
    invoice = msgspec.structs.replace(example("invoice-clean"), locale=locale)
    used = {re.split(r"[+-]", font)[1].split()[0] for font in fonts(await pdf_of(written(invoice, HAN)))}
    assert used & {"NotoSansJP", "NotoSansKR", "DroidSansFallback"} == {
        HAN_FONTS.get(locale, "DroidSansFallback")
    }


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
async def test_a_page_of_chinese_japanese_or_korean_is_a_small_file(
    template: str, press: Press, example: Callable[[str], RenderJob]
) -> None:
    invoice = msgspec.structs.replace(example("invoice-clean"), template=template)
    jobs = [
        written(msgspec.structs.replace(invoice, locale=locale), SCRIPTS[script])
        for locale, script in (("ja", "Japanese"), ("zh", "Chinese"), ("ko", "Korean"), ("ar", "Arabic"))
    ]
    assert [pdf for pdf in await press.print(jobs) if not isinstance(pdf, bytes) or len(pdf) > 150_000] == []


def written(invoice: RenderJob, text: str) -> RenderJob:
    first, *others = invoice.items
    line = msgspec.structs.replace(first, title=text, description=text)
    client = msgspec.structs.replace(invoice.client, name=text)
    return msgspec.structs.replace(invoice, client=client, items=(line, *others), notes=text)


def squeezed(text: str) -> str:
    """A long word may be broken to the next line, so spaces do not count."""
    return "".join(text.split())


@pytest.mark.parametrize(
    ("template", "own"),
    [("clean", "Inter"), ("modern", "Manrope"), ("classic", "EBGaramond"), ("minimal", "Geologica")],
)
async def test_what_needs_no_other_font_is_written_in_the_templates_own(
    template: str,
    own: str,
    press: Press,
    example: Callable[[str], RenderJob],
    fonts: Callable[[bytes], list[str]],
) -> None:
    """Else a document would be drawn in one font alone and in another beside documents that need more fonts."""
    plain = "".join(char for char in map(chr, range(0x20, 0x3000)) if not OTHER_SCRIPTS.search(char))
    assert len(plain) > 500
    invoice = msgspec.structs.replace(example("invoice-clean"), template=template)
    [pdf] = await press.print([written(invoice, plain.replace("<", "").strip())])
    assert isinstance(pdf, bytes)
    assert {font.split()[0].partition("+")[2].partition("-")[0] for font in fonts(pdf)} == {own}
