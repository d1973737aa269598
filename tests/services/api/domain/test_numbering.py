"""How numbers read."""

import pytest

from services.api.domain.numbering import document_number


@pytest.mark.parametrize(
    ("kind", "year", "sequence", "number"),
    [
        ("invoice", 2026, 42, "INV-2026-000042"),
        ("quote", 2026, 1, "QUO-2026-000001"),
        ("receipt", 1999, 999_999, "REC-1999-999999"),
        ("purchase_order", 2026, 7, "PO-2026-000007"),
        ("estimate", 2999, 10, "EST-2999-000010"),
        ("invoice", 2026, 1_000_000, "INV-2026-1000000"),
    ],
)
def test_a_number_is_prefix_year_and_six_digits(kind: str, year: int, sequence: int, number: str) -> None:
    assert document_number(kind, year, sequence) == number
