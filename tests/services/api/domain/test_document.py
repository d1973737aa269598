"""A document's body: its defaults, its bounds, what a change changes, and all its faults at once."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.api.domain.document import Content, Defaults, Documents
from services.api.domain.kinds import KINDS
from shared.errors import Problem

TODAY = date(2026, 3, 1)
DEFAULTS = Defaults(currency="KWD", template="classic", today=TODAY)
DOCUMENTS = Documents(("clean", "modern", "classic"))
LINE = {"title": "Design", "quantity": 1, "rate": 5000}


def body(**fields: Any) -> dict[str, Any]:
    return {"type": "invoice", "client_id": "cl_1", "items": [LINE], **fields}


def new(**fields: Any) -> Content:
    return DOCUMENTS.new(body(**fields), DEFAULTS)[0]


def details_of(given: Any) -> dict[str, object]:
    with pytest.raises(Problem) as raised:
        DOCUMENTS.new(given, DEFAULTS)
    assert raised.value.code == "validation_error"
    return raised.value.details or {}


def test_where_a_body_is_silent_the_account_speaks() -> None:
    content, status = DOCUMENTS.new(body(), DEFAULTS)
    assert (content.currency, content.template, content.issued_date) == ("KWD", "classic", TODAY)
    assert (content.tax_rate, content.notes, status) == (0, "", "draft")


@pytest.mark.parametrize("kind", KINDS)
def test_an_invoice_alone_is_due_after_thirty_days(kind: str) -> None:
    due = new(type=kind, issued_date="2026-01-31").due_date
    assert due == (date(2026, 1, 31) + timedelta(days=30) if kind == "invoice" else None)


def test_an_explicit_null_leaves_an_invoice_without_a_due_date() -> None:
    assert new(due_date=None).due_date is None


def test_a_document_may_be_due_on_the_day_of_its_issue() -> None:
    assert new(issued_date="2026-03-01", due_date="2026-03-01").due_date == TODAY


@pytest.mark.parametrize(
    "dates", [{"issued_date": "2026-03-02", "due_date": "2026-03-01"}, {"due_date": "2026-02-28"}]
)
def test_a_document_is_not_due_before_its_issue(dates: dict[str, str]) -> None:
    assert details_of(body(**dates)) == {"due_date": "Must not be before issued_date"}


@pytest.mark.parametrize("status", ["draft", "sent"])
def test_a_document_may_be_created_as_draft_or_sent(status: str) -> None:
    assert DOCUMENTS.new(body(status=status), DEFAULTS)[1] == status


@pytest.mark.parametrize("status", ["paid", "overdue", "cancelled", "", 1, "Sent"])
def test_a_document_is_created_in_no_other_status(status: Any) -> None:
    assert set(details_of(body(status=status))) == {"status"}


@pytest.mark.parametrize("count", [1, 2, 5_000])
def test_one_to_five_thousand_lines_pass(count: int) -> None:
    assert len(new(items=[LINE] * count).items) == count


@pytest.mark.parametrize("items", [[], [LINE] * 5_001, {}, "x", 1, LINE])
def test_no_other_number_of_lines_passes(items: Any) -> None:
    assert set(details_of(body(items=items))) == {"items"}


@pytest.mark.parametrize("field", ["type", "client_id", "items"])
def test_one_missing_field_is_named_in_the_message(field: str) -> None:
    for absent in ({name: value for name, value in body().items() if name != field}, body(**{field: None})):
        with pytest.raises(Problem) as raised:
            DOCUMENTS.new(absent, DEFAULTS)
        assert raised.value.message == f"The {field} field is required"
        assert raised.value.details == {field: "This field is required"}


def test_all_the_faults_of_a_body_come_at_once() -> None:
    given = {
        "client_id": 7, "currency": "usd", "issued_date": "tomorrow", "due_date": 1, "tax_rate": 101,
        "notes": ["x"], "template": "baroque", "status": "overdue", "due_dat": "2026-01-01",
        "items": [{"title": " ", "quantity": "many", "rate": 10**12, "amount": 5}, "x", {}, LINE],
    }  # fmt: skip
    assert set(details_of(given)) == {
        "type", "client_id", "currency", "issued_date", "due_date", "tax_rate", "notes", "template", "status",
        "due_dat", "items[0].title", "items[0].quantity", "items[0].rate", "items[0].amount", "items[1]",
        "items[2].title", "items[2].quantity", "items[2].rate",
    }  # fmt: skip


def test_a_mistyped_field_is_told_even_when_it_is_null() -> None:
    assert details_of(body(due_dat=None)) == {"due_dat": "Unknown field"}


@pytest.mark.parametrize(
    "read_only", ["id", "number", "client", "subtotal", "tax_amount", "total", "created_at", "updated_at"]
)
def test_what_the_product_decides_is_no_field_of_a_body(read_only: str) -> None:
    assert details_of(body(**{read_only: 1})) == {read_only: "Unknown field"}


def test_a_negative_total_is_refused_together_with_all_other_faults() -> None:
    minus = {"title": "Discount", "quantity": -1, "rate": "5000.01"}
    faults = details_of(body(items=[LINE, minus], notes=1, due_date="2026-01-01"))
    assert set(faults) == {"items", "notes", "due_date"}
    assert set(details_of(body(items=[LINE, minus]))) == {"items"}


def test_a_discount_line_may_bring_the_total_down_to_nothing() -> None:
    minus = {"title": "Discount", "quantity": -1, "rate": 5000}
    assert new(items=[LINE, minus], tax_rate=10).total == 0


def test_a_line_that_rounds_to_nothing_from_below_is_plain_nothing() -> None:
    tiny = {"title": "Rebate", "quantity": 1, "rate": "-0.0001"}
    assert str(new(items=[LINE, tiny]).items[1].amount) == "0"


def test_a_change_changes_what_it_names_and_the_totals_follow() -> None:
    content = new(tax_rate=10, notes="Before")
    changed, status = DOCUMENTS.changed(content, {"items": [{**LINE, "quantity": 2}], "status": "paid"})
    assert (changed.subtotal, changed.tax_amount, changed.total) == (10_000, 1_000, 11_000)
    assert (changed.notes, changed.client_id, status) == ("Before", "cl_1", "paid")


def test_a_change_of_currency_rounds_every_line_anew() -> None:
    content = new(items=[{"title": "Hour", "quantity": 1, "rate": "0.5555"}])
    assert content.total == Decimal("0.556")
    assert DOCUMENTS.changed(content, {"currency": "JPY"})[0].total == 1
    assert DOCUMENTS.changed(content, {"currency": "CLF"})[0].total == Decimal("0.5555")


def test_a_change_that_names_nothing_changes_nothing() -> None:
    content = new()
    assert DOCUMENTS.changed(content, {}) == (content, "draft")


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"due_date": "2026-02-28"}, "due_date"), ({"issued_date": "2026-04-01"}, "due_date"),
        ({"status": "overdue"}, "status"), ({"type": None}, "type"), ({"currency": None}, "currency"),
        ({"items": None}, "items"), ({"client_id": ""}, "client_id"), ({"number": "INV-1"}, "number"),
        ({"items": [{**LINE, "rate": -1}]}, "items"),
    ],
)  # fmt: skip
def test_a_change_is_held_to_the_same_rules(change: dict[str, Any], broken: str) -> None:
    with pytest.raises(Problem) as raised:
        DOCUMENTS.changed(new(), change)
    assert set(raised.value.details or {}) == {broken}


def test_a_change_to_a_negative_total_tells_its_other_faults_too() -> None:
    with pytest.raises(Problem) as raised:
        DOCUMENTS.changed(new(), {"items": [{**LINE, "rate": -1}], "notes": 5})
    assert set(raised.value.details or {}) == {"items", "notes"}


def test_optional_fields_may_be_emptied_by_null() -> None:
    content = new(notes="x", tax_rate=5)
    changed, _ = DOCUMENTS.changed(content, {"notes": None, "tax_rate": None, "due_date": None})
    assert (changed.notes, changed.tax_rate, changed.due_date) == ("", 0, None)


@pytest.mark.parametrize("field", ["tax_rate", "due_date", "issued_date", "currency"])
def test_empty_text_is_no_number_and_no_date(field: str) -> None:
    assert set(details_of(body(**{field: ""}))) == {field}
