"""A document printed among others is the same as alone, and one that is wrong, long or hostile harms no other."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from itertools import count
from random import Random

import msgspec
import pytest
from images import encoded
from jinja2 import Environment, TemplateNotFound
from likeness import assert_alike, told
from PIL import Image
from soundness import sound

from services.renderer import press as module
from services.renderer.chromium import Chromium, NoBrowserError, Page, PrintError, open_chromium
from services.renderer.press import SHEETS_A_PRINT, Press
from shared.messages import Party, RenderJob
from shared.templates import TEMPLATES

Poppler = Callable[..., bytes]
Pages = Callable[[bytes], list[str]]

TEMPLATE_IDS = [template.id for template in TEMPLATES]
HOSTILE = (
    "</article></body><article class='sheet' lang='en-x-00000000-00000000-p1'><p>mine</p></article>",
    "en-x-7513e8b1-b2ac15e4-p1",
    "\u202e\u2067 right to left \u202d\u2066 and never ended",
    "W" * 5_000,
    "\u00a0".join(["unbreakable"] * 400),
    "\U0001d4b3" * 500 + "\ufdfa" * 500 + "ก\u0e49" * 900,
    "\u2028\u2029\u000b\u200b\u00ad" * 500,
    "}</style><style>.sheet{min-height:0;height:9999mm;position:fixed}</style>",
)


def files(outcomes: Sequence[bytes | Exception]) -> list[bytes]:
    assert [each for each in outcomes if isinstance(each, Exception)] == []
    return [sound(each) for each in outcomes if isinstance(each, bytes)]


@pytest.fixture
def mixed(example: Callable[[str], RenderJob]) -> list[RenderJob]:
    """Every type, template, paper, status and script, short and long, in no order."""
    number = count(1)

    def changed(name: str, **change: object) -> RenderJob:
        return msgspec.structs.replace(example(name), document_id=f"doc_{next(number)}", **change)

    short = [
        changed(f"{kind}-{template}", template=template, page_size=paper)
        for kind in ("invoice", "quote", "receipt", "purchase_order", "estimate")
        for template, paper in zip(TEMPLATE_IDS, ("a4", "letter") * 2, strict=True)
    ]
    job = example("invoice-clean")
    cjk = Party(name="北京市朝阳区建国路88号", company="日本語株式会社", address_line1="서울특별시")
    payee = Party(name="Payee", iban="DE89370400440532013000", bic="COBADEFFXXX")
    special = [
        changed("invoice-clean", status=status, template=template)
        for status in ("draft", "cancelled", "paid", "overdue")
        for template in TEMPLATE_IDS[:2]
    ]
    special += [
        changed("invoice-clean", locale=locale, client=cjk, template=template)
        for locale in ("ar", "he", "ja", "zh", "de")
        for template in TEMPLATE_IDS[1:3]
    ]
    special += [
        changed("invoice-clean", currency="EUR", seller=payee, template=template, locale=locale)
        for template, locale in zip(TEMPLATE_IDS, ("en", "ar") * 2, strict=True)
    ]
    long = [
        changed("invoice-clean", items=job.items * lines, template=template, locale=locale)
        for lines, template, locale in ((3, "clean", "en"), (12, "clean", "ar"), (30, "classic", "fr"))
    ]
    return [*short[::2], *long, *special, *short[1::2], changed("money-huge", notes="note\n" * 500)]


async def test_a_document_among_many_is_the_same_as_alone(press: Press, mixed: list[RenderJob]) -> None:
    together = files(await press.print(mixed))
    alone = [file for job in mixed for file in files(await press.print([job]))]
    for one, other in zip(together, alone, strict=True):
        assert_alike(one, other)
    assert all(word in str([told(file) for file in alone]) for word in ("/Alt", "/Scope", "/XYZ"))


async def test_a_wrong_guess_harms_no_neighbour(
    press: Press, example: Callable[[str], RenderJob], monkeypatch: pytest.MonkeyPatch, pages_of: Pages
) -> None:
    """Every document is put onto one sheet, whether it fits or not; those that do not are set again."""
    job = example("invoice-clean")
    jobs = [
        msgspec.structs.replace(
            job, document_id=f"doc_{at}", number=f"NUMBER-{at}", items=job.items * (at % 5 * 4 or 1)
        )
        for at in range(20)
    ]
    expected = [pages_of(file) for file in files(await press.print(jobs))]
    monkeypatch.setattr(module, "fits_likely", lambda _: True)
    printed = [pages_of(file) for file in files(await press.print(jobs))]
    assert printed == expected
    assert [{at for at in range(20) if f"NUMBER-{at}" in " ".join(pages).split()} for pages in printed] == [
        {at} for at in range(20)
    ]


@pytest.mark.parametrize("template", TEMPLATE_IDS)
async def test_hostile_text_breaks_neither_its_document_nor_its_neighbours(
    template: str, press: Press, example: Callable[[str], RenderJob], text_of: Callable[[bytes], str]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), template=template)
    line = job.items[0]
    jobs: list[RenderJob] = []
    for at, attack in enumerate(HOSTILE):
        item = msgspec.structs.replace(line, title=attack[:500], description=attack)
        party = Party(name=attack[:200], company=attack[:200], city=attack[:200], country=attack[:200])
        jobs += [
            msgspec.structs.replace(job, document_id=f"doc_{at}", number=f"QUIET-{at}"),
            msgspec.structs.replace(job, document_id=f"bad_a{at}", items=(item,) * 3),
            msgspec.structs.replace(job, document_id=f"bad_b{at}", client=party, seller=party),
            msgspec.structs.replace(job, document_id=f"bad_c{at}", notes=attack * 2, number=attack[:100]),
        ]
    quiet = [text_of(file) for file in files(await press.print(jobs[::4]))]
    printed = [text_of(file) for file in files(await press.print(jobs))]
    assert printed[::4] == quiet


async def test_a_head_that_fills_more_than_a_page_is_made_smaller(
    press: Press, example: Callable[[str], RenderJob], pages_of: Pages
) -> None:
    names = ("name", "company", "address_line1", "address_line2", "city", "region", "country")
    party = Party(**{name: "\n".join(f"{name}{n}" for n in range(24)) for name in names})
    for template in TEMPLATE_IDS:
        job = msgspec.structs.replace(example("invoice-clean"), template=template, client=party)
        [pdf] = files(await press.print([job]))
        pages = pages_of(pdf)
        assert len(pages) == 2
        assert "country23" in pages[0]


async def test_the_same_document_twice_is_printed_twice(
    press: Press, example: Callable[[str], RenderJob]
) -> None:
    one, other = files(await press.print([example("invoice-clean")] * 2))
    assert one == other


async def test_what_is_wrong_with_one_is_said_of_it_alone(
    press: Press, example: Callable[[str], RenderJob]
) -> None:
    job = example("invoice-clean")
    wrong = [
        msgspec.structs.replace(job, template="gothic"),
        msgspec.structs.replace(job, type="ransom_note"),
        msgspec.structs.replace(job, logo="logos/absent.png"),
    ]
    outcomes = await press.print([job, *wrong, job])
    kinds = [type(each) for each in outcomes]
    assert kinds == [bytes, TemplateNotFound, KeyError, FileNotFoundError, bytes]


async def test_a_logo_is_printed(
    chromium: Chromium, templates: Environment, example: Callable[[str], RenderJob], poppler: Poppler
) -> None:
    async def logo(path: str) -> str:
        assert path == "logos/one.png"
        return (
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
            "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        )

    press = Press(templates, chromium, logo)
    for template in TEMPLATE_IDS:
        job = msgspec.structs.replace(example("invoice-clean"), template=template, logo="logos/one.png")
        [pdf] = files(await press.print([job]))
        assert len(poppler("pdfimages", "-list", pdf=pdf).splitlines()) > 2


async def test_each_document_shows_its_own_logo(
    chromium: Chromium, templates: Environment, example: Callable[[str], RenderJob], poppler: Poppler
) -> None:
    """Of heavy ones, too: what half a megabyte on each of them would be, a browser cannot read in time."""

    async def logo(path: str) -> str:
        colour = Image.frombytes("RGB", (600, 280), Random(path).randbytes(600 * 280 * 3))
        return f"data:image/png;base64,{b64encode(encoded(colour)).decode()}" if path else ""

    press = Press(templates, chromium, cache(lambda path: asyncio.ensure_future(logo(path))))
    jobs = [
        msgspec.structs.replace(
            example("invoice-clean"), document_id=f"doc_{at}", logo=("one", "two", "")[at % 3]
        )
        for at in range(90)
    ]
    together = files(await press.print(jobs))
    for at in (0, 1, 2, 87, 88, 89):
        assert_alike(together[at], *files(await press.print([jobs[at]])))
    pictures = [len(poppler("pdfimages", "-list", pdf=pdf).splitlines()) - 2 for pdf in together]
    assert pictures == [1, 1, 0] * 30


async def test_a_print_that_breaks_is_repeated_for_each_document(
    press: Press, example: Callable[[str], RenderJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One document ends every browser that it is printed on."""
    job = example("invoice-clean")
    jobs = [msgspec.structs.replace(job, document_id=f"doc_{at}", notes=f"note {at}.") for at in range(3)]
    whole = Page.print

    async def printed(self: Page, html: str) -> bytes:
        if "note 1." in html:
            self.browser.kill()
        return await whole(self, html)

    monkeypatch.setattr(Page, "print", printed)
    outcomes = await press.print(jobs)
    assert [type(each) for each in outcomes] == [bytes, PrintError, bytes]


async def test_a_document_that_never_stands_on_its_sheets_is_refused(
    press: Press, example: Callable[[str], RenderJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is measured, all is put onto one sheet; the neighbour that fits does not suffer."""
    job = example("invoice-clean")
    long = msgspec.structs.replace(job, document_id="doc_long", items=job.items * 30)
    monkeypatch.setattr(module, "paginate", lambda *_, **__: module.one_sheet(module.document_page(long)))
    outcomes = await press.print([job, long])
    assert [type(each) for each in outcomes] == [bytes, PrintError]


async def test_a_print_holds_a_bounded_number_of_sheets(
    press: Press, example: Callable[[str], RenderJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = example("invoice-clean")
    jobs = [msgspec.structs.replace(job, document_id=f"doc_{at}") for at in range(SHEETS_A_PRINT * 2 + 1)]
    sheets: list[int] = []
    whole = Page.print

    async def printed(self: Page, html: str) -> bytes:
        sheets.append(html.count("<article"))
        return await whole(self, html)

    monkeypatch.setattr(Page, "print", printed)
    assert len(files(await press.print(jobs))) == len(jobs)
    assert sheets == [SHEETS_A_PRINT, SHEETS_A_PRINT, 1]


async def test_others_are_served_while_a_long_document_is_filled(
    press: Press, example: Callable[[str], RenderJob]
) -> None:
    """The event loop goes on turning: many turns in a long print, each of them short."""
    job = example("invoice-clean")
    line = msgspec.structs.replace(job.items[0], amount=Decimal(1))
    long = msgspec.structs.replace(job, items=(line,) * 1500)
    printing = asyncio.create_task(press.print([long]))
    turns = 0
    while not printing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1000
    files(await printing)


async def test_no_browser_is_no_fault_of_any_document(
    templates: Environment, example: Callable[[str], RenderJob]
) -> None:
    async def no_logo(path: str) -> str:
        raise FileNotFoundError(path)

    async with open_chromium(path="/nonexistent", sandbox=False, pages=1, prints_max=1) as none:
        with pytest.raises(NoBrowserError):
            await Press(templates, none, no_logo).print([example("invoice-clean")] * 2)
