"""What a document says, by type and status, before it has any look."""

from collections.abc import Callable

import msgspec
import pytest

from services.renderer.page import document_page, subtotal_through
from shared.messages import Party, RenderJob

# A word and a face that hold joiners, and a mark of direction.
JOINED = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 👩\u200d💻 a\u200fb"


@pytest.mark.parametrize(
    ("kind", "title", "client", "labels"),
    [
        ("invoice", "Invoice", "Bill to", ["Invoice number", "Issue date", "Due date"]),
        ("quote", "Quote", "Prepared for", ["Quote number", "Issue date", "Valid until"]),
        ("receipt", "Receipt", "Received from", ["Receipt number", "Date paid"]),
        ("purchase_order", "Purchase order", "Supplier", ["Order number", "Order date", "Delivery by"]),
        ("estimate", "Estimate", "Prepared for", ["Estimate number", "Issue date", "Valid until"]),
    ],
)
def test_each_type_has_its_words(
    kind: str, title: str, client: str, labels: list[str], example: Callable[[str], RenderJob]
) -> None:
    page = document_page(msgspec.structs.replace(example("invoice-clean"), type=kind))
    assert (page.title, page.client.heading) == (title, client)
    assert [fact.label for fact in page.facts] == labels


@pytest.mark.parametrize(
    ("kind", "status", "badge", "stamp"),
    [
        ("invoice", "sent", "", ""),
        ("invoice", "paid", "PAID", ""),
        ("invoice", "overdue", "OVERDUE", ""),
        ("quote", "overdue", "EXPIRED", ""),
        ("receipt", "sent", "PAID", ""),
        ("receipt", "draft", "DRAFT", "DRAFT"),
        ("invoice", "draft", "DRAFT", "DRAFT"),
        ("estimate", "cancelled", "CANCELLED", "CANCELLED"),
    ],
)
def test_the_status_shows(
    kind: str, status: str, badge: str, stamp: str, example: Callable[[str], RenderJob]
) -> None:
    page = document_page(msgspec.structs.replace(example("invoice-clean"), type=kind, status=status))
    assert (page.badge, page.stamp) == (badge, stamp)


def test_what_is_not_given_leaves_no_trace(example: Callable[[str], RenderJob]) -> None:
    job = msgspec.structs.replace(
        example("invoice-clean"),
        number=None,
        status="draft",
        due_date=None,
        client=Party(name="Acme", company="Acme", region="NY", phone="\x00\x07 "),
    )
    page = document_page(job)
    assert (page.client.place, page.client.contact) == (("NY",), ())
    assert [fact.label for fact in page.facts] == ["Issue date"]
    assert page.file_title == "Invoice (draft)"


@pytest.mark.parametrize(
    ("status", "number", "title"),
    [
        ("sent", "INV-1", "Invoice INV-1"),
        ("draft", None, "Invoice (draft)"),
        ("cancelled", None, "Invoice (cancelled)"),
        ("sent", None, "Invoice"),
    ],
)
def test_a_file_is_called_by_its_number_or_its_status(
    status: str, number: str | None, title: str, example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), status=status, number=number)
    assert document_page(job).file_title == title


@pytest.mark.parametrize(
    ("party", "town"),
    [
        (Party(name="x", city="Portland", region="OR", postal_code="97201"), "Portland, OR 97201"),
        (Party(name="x", city="Hamburg", postal_code="22767"), "22767 Hamburg"),
        (Party(name="x", region="OR"), "OR"),
        (Party(name="x", postal_code="1010"), "1010"),
    ],
)
def test_the_town_has_no_stray_comma(party: Party, town: str, example: Callable[[str], RenderJob]) -> None:
    assert document_page(msgspec.structs.replace(example("invoice-clean"), client=party)).client.place == (
        town,
    )


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("  plain  ", "plain"),
        ("one\r\ntwo\rthree\x85four\u2028five\u2029six\x0cseven", "one\ntwo\nthree\nfour\nfive\nsix\nseven"),
        ("a\x00b\x1bc\x7fd\x9fe\ufeff\ufffef\ud800g", "abcdefg"),
        ("\u202a+49 30 1234\u202c", "+49 30 1234"),
        ("\u202e\u2066\u2067\u2068unbalanced\u202d", "unbalanced"),
        ("tab\tstays", "tab\tstays"),
        (JOINED, JOINED),
        ("no\xa0break", "no\xa0break"),
    ],
)
def test_text_loses_what_nobody_sees_and_nothing_else(
    given: str, written: str, example: Callable[[str], RenderJob]
) -> None:
    assert document_page(msgspec.structs.replace(example("invoice-clean"), notes=given)).notes == written


def test_metadata_has_no_line_breaks_and_nothing_turns_it(example: Callable[[str], RenderJob]) -> None:
    name = "Two\nlines\u202e\u2067 \tLtd"
    job = msgspec.structs.replace(
        example("invoice-clean"), number="A\n1", seller=Party(name=name), client=Party(name=name)
    )
    page = document_page(job)
    assert (page.author, page.client.name, page.number) == ("Two lines Ltd", "Two lines Ltd", "A 1")
    assert page.subject == "Invoice for Two lines Ltd, March 1, 2026"
    assert page.file_title == "Invoice A 1"


def test_braces_in_a_name_are_a_name(example: Callable[[str], RenderJob]) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), client=Party(name="{day} {0.__class__}"))
    assert document_page(job).subject == "Invoice for {day} {0.__class__}, March 1, 2026"


def test_notes_of_any_length_are_whole(example: Callable[[str], RenderJob]) -> None:
    notes = "\u2067Zeile\r\n" * 10_000
    page = document_page(msgspec.structs.replace(example("invoice-clean"), notes=notes))
    assert page.notes == "\n".join(["Zeile"] * 10_000)


SELLER = Party(
    name="Nordwind", iban="DE89370400440532013000", bic="COBADEFFXXX", payment_terms="14 Tage netto"
)


@pytest.mark.parametrize("status", ["sent", "overdue"])
def test_what_is_owed_says_how_to_pay(status: str, example: Callable[[str], RenderJob]) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), status=status, seller=SELLER)
    assert [(row.label, row.value) for row in document_page(job).payment] == [
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
        ("BIC", "COBADEFFXXX"),
        ("Reference", "INV-2026-000042"),
        ("Payment terms", "14 Tage netto"),
    ]


def test_a_draft_says_it_without_a_number_to_refer_to(example: Callable[[str], RenderJob]) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), status="draft", number=None, seller=SELLER)
    assert [row.label for row in document_page(job).payment] == ["IBAN", "BIC", "Payment terms"]


def test_terms_stand_alone_too(example: Callable[[str], RenderJob]) -> None:
    job = msgspec.structs.replace(
        example("invoice-clean"), seller=Party(name="x", payment_terms="Net 30"), status="sent"
    )
    assert [row.label for row in document_page(job).payment] == ["Payment terms"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("invoice", "paid"),
        ("invoice", "cancelled"),
        *((kind, "sent") for kind in ("quote", "estimate", "receipt", "purchase_order")),
    ],
)
def test_nobody_is_asked_for_what_is_not_owed(
    kind: str, status: str, example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), type=kind, status=status, seller=SELLER)
    assert document_page(job).payment == ()


@pytest.mark.parametrize(
    ("given", "accent"),
    [("#1f6feb", "#1f6feb"), ("#ABCDEF", "#ABCDEF"), ("", ""), ("red;}", ""), ("#1f6feb\n", ""), ("#12", "")],
)
def test_an_accent_is_a_colour_or_nothing(
    given: str, accent: str, example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), accent_color=given)
    assert document_page(job).accent == accent


@pytest.mark.parametrize(("given", "name"), [("a4", "A4"), ("letter", "letter")])
def test_the_paper_has_its_name_in_css(given: str, name: str, example: Callable[[str], RenderJob]) -> None:
    assert document_page(msgspec.structs.replace(example("invoice-clean"), page_size=given)).page_size == name


@pytest.mark.parametrize("changes", [{"locale": "tlh"}, {"type": "poem"}, {"page_size": "a3"}])
def test_what_has_no_words_is_not_guessed(
    changes: dict[str, str], example: Callable[[str], RenderJob]
) -> None:
    with pytest.raises(KeyError):
        document_page(msgspec.structs.replace(example("invoice-clean"), **changes))


def test_what_is_carried_is_the_sum_of_the_amounts_before(example: Callable[[str], RenderJob]) -> None:
    job = example("invoice-clean")
    amounts = [line.amount for line in job.items]
    written = [subtotal_through(job, count) for count in range(len(amounts) + 1)]
    assert written[0] == "$0.00"
    assert written[1:] == [f"${sum(amounts[:count]):,.2f}" for count in range(1, len(amounts) + 1)]
    assert written[-1] == document_page(job).sums[0].value
