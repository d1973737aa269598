"""The document types, one row each: what a type is called in numbers and how its due date begins."""

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """``due_days`` after the issue date is the due date of a document that names none; None leaves it open."""

    type: str
    prefix: str
    due_days: int | None = None


KINDS = {
    kind.type: kind
    for kind in (
        Kind("invoice", "INV", due_days=30),
        Kind("quote", "QUO"),
        Kind("receipt", "REC"),
        Kind("purchase_order", "PO"),
        Kind("estimate", "EST"),
    )
}
