"""Every locale that a caller may name has every word that a document needs, and in its own language."""

import itertools
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from decimal import Decimal

import msgspec
import pytest
from pypdfium2 import PdfDocument

from services.renderer.amounts import cldr
from services.renderer.kinds import KINDS
from services.renderer.page import DocumentPage, document_page
from services.renderer.words.languages import WORDS
from shared.locales import LOCALES
from shared.messages import Party, RenderJob
from shared.templates import TEMPLATES

FOREIGN = [locale for locale in LOCALES if not locale.startswith("en")]
# What English shares with Danish, Portuguese or Spanish.
COGNATES = {"Subtotal", "Total"}
SCRIPTS = {"ar": "ARABIC", "he": "HEBREW", "ja": "CJK|KATAKANA|HIRAGANA", "ko": "HANGUL", "zh": "CJK"}
PLACES = {
    "labels.page": {"x", "y"},
    "tax": {"rate"},
    "tax_id": {"id"},
    "vat_id": {"id"},
    "subject": {"title", "client", "day"},
}
WITHOUT = {"kinds.receipt.due", *(f"kinds.{kind}.ship_to" for kind in KINDS if kind != "purchase_order")}
RIGHT_TO_LEFT = {"ar", "he"}

Example = Callable[[str], RenderJob]
Printer = Callable[[RenderJob], Awaitable[bytes]]


def test_each_locale_has_words_and_no_other() -> None:
    assert set(WORDS) == set(LOCALES)


@pytest.mark.parametrize("locale", LOCALES)
def test_no_word_is_missing(locale: str) -> None:
    spoken = dict(words(locale))
    assert set(WORDS[locale].kinds) == set(KINDS)
    assert {name for name, word in spoken.items() if not word} == WITHOUT


@pytest.mark.parametrize("locale", LOCALES)
def test_what_is_put_in_has_its_place(locale: str) -> None:
    for name, word in words(locale):
        assert set(re.findall(r"\{(\w*)\}", word)) == PLACES.get(name, set()), name


@pytest.mark.parametrize("locale", FOREIGN)
def test_no_english_is_left(locale: str) -> None:
    english = dict(words("en"))
    same = {word for name, word in words(locale) if word and word == english[name]}
    assert same <= COGNATES


@pytest.mark.parametrize("locale", SCRIPTS)
def test_each_word_is_in_the_script_of_its_language(locale: str) -> None:
    script = re.compile(SCRIPTS[locale])
    for name, word in words(locale):
        bare = re.sub(r"\{\w+\}", "", word)
        letters = {unicodedata.name(character) for character in bare if character.isalpha()}
        assert not word or name == "subject" or any(map(script.match, letters)), name


@pytest.mark.parametrize("locale", LOCALES)
def test_the_words_are_set_with_care(locale: str) -> None:
    """No stray space, no typewriter's apostrophe, no invisible mark; statuses as inside a sentence."""
    for name, word in words(locale):
        assert word == " ".join(word.split(" ")).strip(), name
        assert not {"'", '"'} & set(word), name
        assert all(unicodedata.category(character) not in {"Cc", "Cf", "Co"} for character in word), name
    for kind in WORDS[locale].kinds.values():
        for word in (kind.overdue, kind.paid, kind.cancelled):
            assert word == word.lower()


@pytest.mark.parametrize("locale", LOCALES)
def test_no_type_is_taken_for_another(locale: str) -> None:
    kinds = WORDS[locale].kinds.values()
    assert len({kind.title for kind in kinds}) == len(KINDS)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_page_tells_its_language_and_direction(locale: str, example: Example) -> None:
    page = document_page(msgspec.structs.replace(example("invoice-clean"), locale=locale))
    assert (page.language, page.direction) == (locale, "rtl" if locale in RIGHT_TO_LEFT else "ltr")
    assert page.labels == WORDS[locale].labels


@pytest.mark.parametrize("locale", LOCALES)
def test_everything_can_be_said(locale: str, example: Example) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), locale=locale)
    for kind, status in itertools.product(KINDS, ("draft", "sent", "paid", "overdue", "cancelled")):
        number = None if status == "draft" else "X-1"
        page = document_page(msgspec.structs.replace(job, type=kind, status=status, number=number))
        said = [page.title, page.file_title, page.subject, page.footer, *(fact.label for fact in page.facts)]
        assert all(said), (kind, status)
        assert not any("{" in word for word in said), (kind, status)
        assert bool(page.stamp) == (status in {"draft", "cancelled"}), (kind, status)
        assert bool(page.badge) == (status != "sent" or kind == "receipt"), (kind, status)


@pytest.mark.parametrize(
    ("locale", "kind", "status", "badge"),
    [
        ("fr", "invoice", "paid", "PAYÉE"),
        ("fr", "receipt", "sent", "PAYÉ"),
        ("es", "invoice", "cancelled", "ANULADA"),
        ("es", "estimate", "overdue", "CADUCADO"),
        ("de", "invoice", "overdue", "ÜBERFÄLLIG"),
        ("pl", "purchase_order", "cancelled", "ANULOWANE"),
        ("ar", "invoice", "paid", "مدفوعة"),
        ("ja", "quote", "overdue", "期限切れ"),
    ],
)
def test_a_status_agrees_with_its_title(
    locale: str, kind: str, status: str, badge: str, example: Example
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), locale=locale, type=kind, status=status)
    assert document_page(job).badge == badge


@pytest.mark.parametrize(
    ("locale", "given", "written"),
    [
        ("en", "12-3456789", "Tax ID: 12-3456789"),
        ("en", "DE123456789", "VAT ID: DE123456789"),
        ("en-GB", "GB123456789", "VAT number: GB123456789"),
        ("de", "DE123456789", "USt-IdNr.: DE123456789"),
        ("de", "12/345/67890", "Steuernummer: 12/345/67890"),
        ("de", "ATU12345678", "USt-IdNr.: ATU12345678"),
        ("fr", "FR 40 303 265 045", "N° de TVA\xa0: FR 40 303 265 045"),
        ("es", "ESX1234567X", "NIF-IVA: ESX1234567X"),
        ("nl", "NL123456789B01", "Btw-nummer: NL123456789B01"),
        ("ja", "T1234567890123", "登録番号\N{FULLWIDTH COLON}T1234567890123"),
        ("pt-BR", "12.345.678/0001-95", "CNPJ/CPF: 12.345.678/0001-95"),
    ],
)
def test_a_tax_number_is_called_what_it_is(locale: str, given: str, written: str, example: Example) -> None:
    job = msgspec.structs.replace(
        example("invoice-clean"), locale=locale, seller=Party(name="x", tax_id=given)
    )
    assert document_page(job).seller.contact == (written,)


@pytest.mark.parametrize("locale", [locale for locale in LOCALES if locale not in RIGHT_TO_LEFT])
async def test_what_is_said_is_found_on_the_printed_page(
    locale: str, example: Example, pdf_of: Printer, text_of: Callable[[bytes], str]
) -> None:
    job = wordy(example("invoice-clean"), locale=locale)
    printed = without_spaces(text_of(await pdf_of(job)))
    assert [word for word in words_of(document_page(job)) if without_spaces(word) not in printed] == []


@pytest.mark.parametrize("template", [template.id for template in TEMPLATES])
@pytest.mark.parametrize("locale", sorted(RIGHT_TO_LEFT))
async def test_what_is_said_from_right_to_left_is_copied_as_it_was_said(
    locale: str, template: str, example: Example, pdf_of: Printer
) -> None:
    job = wordy(example("invoice-clean"), locale=locale, template=template)
    printed = turned(copied(await pdf_of(job)))
    page = document_page(job)
    said = words_of(page)
    if template == "classic":  # The seller's name is the letterhead.
        said.remove(page.seller.heading)
    assert [word for word in said if turned(word) not in printed] == []


def wordy(job: RenderJob, *, locale: str, template: str = "clean") -> RenderJob:
    """With all that has words of its own on the page."""
    seller = Party(name="x", iban="DE89370400440532013000", bic="COBADEFFXXX", payment_terms="y", tax_id="1")
    said = {
        "seller": seller,
        "notes": "z",
        "tax_rate": Decimal("7.5"),
        "currency": "EUR",
        "status": "overdue",
    }
    return msgspec.structs.replace(job, locale=locale, template=template, **said)


def words_of(page: DocumentPage) -> list[str]:
    labels = page.labels
    rows = [*page.facts, *page.sums, page.total, *page.payment]
    said = [page.title, page.badge, page.seller.heading, page.client.heading, *page.seller.contact]
    said += [
        labels.item,
        labels.quantity,
        labels.rate,
        labels.amount,
        labels.notes,
        labels.payment,
        labels.scan,
    ]
    said += [labels.page.format(x=1, y=1), *(row.label for row in rows), *(row.value for row in rows)]
    return said


def copied(pdf: bytes) -> str:
    """All the words as Chromium's viewer copies them; poppler takes each line to run from left to right."""
    with closing(PdfDocument(pdf)) as document:
        return " ".join(page.get_textpage().get_text_range() for page in document)


def turned(text: str) -> str:
    """Without marks of direction, and without the signs that stand on the other side when a line is turned."""
    return re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069()%]", "", without_spaces(text))


@pytest.mark.parametrize("locale", LOCALES)
def test_numbers_are_in_the_words_language(locale: str) -> None:
    assert locale.startswith(cldr(locale).language)


def without_spaces(text: str) -> str:
    """Words as such: where a line ends, and whether a space is narrow, is the page's business."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def words(locale: str) -> Iterator[tuple[str, str]]:
    """Each word of a locale with its name, such as ``kinds.invoice.title``."""
    yield from flat("", msgspec.to_builtins(WORDS[locale]))


def flat(path: str, value: str | dict[str, object]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
        return
    for name, inner in value.items():
        assert isinstance(inner, str | dict)
        yield from flat(f"{path}.{name}" if path else name, inner)
