"""What a renderer is told of a document: its own word before the client's, the client's before the account's."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
import pytest

from services.api.domain.document import Line
from services.api.routes.shapes import render_job
from services.api.store.documents import DocumentRow
from shared.messages import RenderJob

DAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ZERO = Decimal(0)
ROW = DocumentRow(
    "doc_1", "invoice", None, "draft", "cl_1", "", "EUR", DAY, None, "[]", ZERO, ZERO, ZERO, ZERO, "", "clean",
    None, None, NOW, NOW,
)  # fmt: skip


def job(*, document: dict[str, Any], client: dict[str, Any], account: dict[str, Any]) -> RenderJob:
    row = msgspec.structs.replace(ROW, **document, client=encoded(client))
    return render_job("acct_1", row, encoded(account), DAY)


def encoded(profile: dict[str, Any]) -> str:
    return msgspec.json.encode({"name": "x", **profile}).decode()


@pytest.mark.parametrize(
    ("document", "client", "account"), list(product([None, "fr"], [None, "ja"], [None, "de"])), ids=repr
)
def test_the_language_is_the_documents_else_the_clients_else_the_accounts(
    document: str | None, client: str | None, account: str | None
) -> None:
    told = job(document={"locale": document}, client={"locale": client}, account={"locale": account})
    assert told.locale == (document or client or account or "en")


@pytest.mark.parametrize(("document", "account"), list(product([None, "a4", "letter"], repeat=2)), ids=repr)
def test_the_paper_is_the_documents_else_the_accounts(document: str | None, account: str | None) -> None:
    told = job(document={"page_size": document}, client={}, account={"page_size": account})
    assert told.page_size == (document or account or "a4")


def test_a_seller_of_the_release_before_is_rendered_as_it_was() -> None:
    told = job(document={}, client={}, account={"city": "Paris"})
    assert (told.locale, told.page_size, told.accent_color, told.logo) == ("en", "a4", "", "")
    assert (told.seller.city, told.seller.iban) == ("Paris", "")


def test_lines_are_told_as_they_are_stored() -> None:
    two, half = Decimal(2), Decimal("0.50")
    lines = (
        Line(title="x", quantity=two, rate=half, amount=Decimal(1)),
        Line(title="y", description="z", quantity=-two, rate=half, amount=ZERO),
    )
    told = job(document={"items": msgspec.json.encode(lines).decode()}, client={}, account={})
    assert [msgspec.structs.asdict(line) for line in told.items] == [
        msgspec.structs.asdict(line) for line in lines
    ]


def test_payment_colour_and_logo_come_from_the_seller() -> None:
    told = job(
        document={},
        client={},
        account={
            "iban": "DE89",
            "bic": "X",
            "payment_terms": "Net 30",
            "accent_color": "#1a7f5a",
            "logo": "ab",
        },
    )
    assert (told.seller.iban, told.seller.bic, told.seller.payment_terms) == ("DE89", "X", "Net 30")
    assert (told.accent_color, told.logo) == ("#1a7f5a", "logo/acct_1/ab.png")
