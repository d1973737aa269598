"""The five document types."""

from services.api.domain.kinds import KINDS


def test_the_types_are_those_of_the_documentation() -> None:
    assert set(KINDS) == {"invoice", "quote", "receipt", "purchase_order", "estimate"}


def test_every_type_has_its_own_prefix() -> None:
    assert {kind.type: kind.prefix for kind in KINDS.values()} == {
        "invoice": "INV", "quote": "QUO", "receipt": "REC", "purchase_order": "PO", "estimate": "EST",
    }  # fmt: skip


def test_only_an_invoice_is_due_by_itself_after_thirty_days() -> None:
    assert {kind.type: kind.due_days for kind in KINDS.values() if kind.due_days is not None} == {
        "invoice": 30
    }
