"""What the types and statuses of a document are called on paper; tables, nothing else."""

import msgspec


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A type's words: its title, whom it is for, its dates and its total. No word leaves the row out."""

    title: str
    client: str
    issued: str = "Issue date"
    due: str = ""
    total: str = "Total"
    ship_to: str = ""
    overdue: str = "OVERDUE"
    always_paid: bool = False


KINDS = {
    "invoice": Kind(title="Invoice", client="Bill to", due="Due date"),
    "quote": Kind(title="Quote", client="Prepared for", due="Valid until", overdue="EXPIRED"),
    "receipt": Kind(
        title="Receipt", client="Received from", issued="Date paid", total="Total paid", always_paid=True
    ),
    "purchase_order": Kind(
        title="Purchase order", client="Supplier", issued="Order date", due="Delivery by", ship_to="Ship to"
    ),
    "estimate": Kind(title="Estimate", client="Prepared for", due="Valid until", overdue="EXPIRED"),
}
PAID = "PAID"
# What lies across every page, so that nobody takes the paper for the real thing.
STAMPS = {"draft": "DRAFT", "cancelled": "CANCELLED"}
