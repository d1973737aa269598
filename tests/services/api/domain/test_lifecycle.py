"""Which status a document has today and where it may go: every pair of status and action."""

from datetime import date

import pytest

from services.api.domain.lifecycle import (
    ACTIONS,
    NUMBERED_STATUSES,
    STATUSES,
    require_draft,
    status_after,
    status_on,
)
from shared.errors import Problem

TODAY = date(2026, 3, 31)
YESTERDAY, TOMORROW = date(2026, 3, 30), date(2026, 4, 1)
ALLOWED = {
    ("pay", "sent"): "paid",
    ("pay", "overdue"): "paid",
    ("cancel", "draft"): "cancelled",
    ("cancel", "sent"): "cancelled",
    ("cancel", "overdue"): "cancelled",
}


def test_the_statuses_are_those_of_the_documentation() -> None:
    assert set(STATUSES) == {"draft", "sent", "paid", "overdue", "cancelled"}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("status", STATUSES)
def test_each_action_leads_from_the_statuses_it_may_and_from_no_other(action: str, status: str) -> None:
    if (action, status) in ALLOWED:
        assert status_after(action, status) == ALLOWED[action, status]
        return
    with pytest.raises(Problem) as raised:
        status_after(action, status)
    assert raised.value.code == "invalid_transition"


@pytest.mark.parametrize(
    ("stored", "due", "shown"),
    [
        ("sent", YESTERDAY, "overdue"),
        ("sent", TODAY, "sent"),
        ("sent", TOMORROW, "sent"),
        ("sent", None, "sent"),
        ("draft", YESTERDAY, "draft"),
        ("paid", YESTERDAY, "paid"),
        ("cancelled", YESTERDAY, "cancelled"),
    ],
)
def test_a_sent_document_is_overdue_on_the_day_after_it_was_due(
    stored: str, due: date | None, shown: str
) -> None:
    assert status_on(TODAY, stored, due) == shown


@pytest.mark.parametrize("status", STATUSES)
def test_only_a_draft_may_be_updated(status: str) -> None:
    if status == "draft":
        require_draft(status)
        return
    with pytest.raises(Problem) as raised:
        require_draft(status)
    assert raised.value.code == "document_not_draft"


def test_numbers_come_with_sent_and_paid_alone() -> None:
    assert frozenset({"sent", "paid"}) == NUMBERED_STATUSES
