"""What the types and statuses of a document are beyond their words; tables, nothing else."""

import msgspec


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """``always_paid``: it says that money came. ``asks_for_money``: it says how to pay while that is owed."""

    always_paid: bool = False
    asks_for_money: bool = False


KINDS = {
    "invoice": Kind(asks_for_money=True),
    "quote": Kind(),
    "receipt": Kind(always_paid=True),
    "purchase_order": Kind(),
    "estimate": Kind(),
}
# What lies across every page, so that nobody takes the paper for the real thing.
STAMPED = ("draft", "cancelled")
# While an invoice is one of these, its sum may still be asked for; a draft shows how it will look.
UNPAID = ("draft", "sent", "overdue")
