"""What a document says, by type and status, before it has any look."""

from collections.abc import Callable

import msgspec
import pytest

from services.renderer.page import document_page
from shared.messages import Party, RenderJob


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
