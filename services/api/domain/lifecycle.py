"""Which status a document has today, and which it may have next."""

from datetime import date

from shared.errors import Problem

STORED_STATUSES = ("draft", "sent", "paid", "cancelled")
STATUSES = (*STORED_STATUSES, "overdue")

# action -> (statuses that it starts from, status that it leads to)
ACTIONS = {
    "pay": (frozenset({"sent", "overdue"}), "paid"),
    "cancel": (frozenset({"draft", "sent", "overdue"}), "cancelled"),
}
NUMBERED_STATUSES = frozenset({"sent", "paid"})


def status_on(today: date, stored: str, due_date: date | None) -> str:
    """The stored status, or ``overdue`` for a sent document whose due date has passed."""
    late = stored == "sent" and due_date is not None and due_date < today
    return "overdue" if late else stored


def status_after(action: str, status: str) -> str:
    """Where ``pay`` or ``cancel`` leads from ``status``; raises invalid_transition."""
    sources, target = ACTIONS[action]
    if status in sources:
        return target
    allowed = " or ".join(sorted(sources))
    raise Problem(
        "invalid_transition",
        f"A document that is {status} cannot be {target}; only one that is {allowed} can",
        {"status": status},
    )


def require_draft(status: str) -> None:
    if status == "draft":
        return
    raise Problem(
        "document_not_draft",
        f"Only a draft can be updated, and this document is {status}; use /pay or /cancel to move it on",
        {"status": status},
    )
