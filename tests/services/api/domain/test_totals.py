"""Totals: each line is rounded, the subtotal is their exact sum, tax is rounded once, the total is both."""

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.domain.totals import compute_totals

EXPONENT = {"JPY": 0, "USD": 2, "KWD": 3, "CLF": 4}
_QUANTITIES = st.decimals(
    min_value=-(10**12) + 1, max_value=10**12 - 1, places=6, allow_nan=False, allow_infinity=False
)
LINES = st.lists(st.tuples(_QUANTITIES, _QUANTITIES), min_size=1, max_size=20)
PERCENTAGES = st.decimals(min_value=0, max_value=100, places=6, allow_nan=False, allow_infinity=False)
EXPONENTS = st.sampled_from(sorted(EXPONENT.values()))


def half_away(value: Fraction, exponent: int) -> Fraction:
    """The rule in whole numbers, written a second time and otherwise."""
    scaled = abs(value) * 10**exponent
    whole = scaled.numerator // scaled.denominator
    whole += 2 * (scaled - whole) >= 1
    return Fraction(whole if value >= 0 else -whole, 10**exponent)


# Worked by hand: currency, (quantity, rate)…, tax rate, line amounts, and subtotal, tax and total.
GOLDEN = [
    ("USD", [("1", "5000"), ("1", "1200")], "10", ["5000", "1200"], ["6200", "620", "6820"]),
    ("USD", [("3", "0.335")], "0", ["1.01"], ["1.01", "0", "1.01"]),
    ("USD", [("1", "0.005"), ("1", "0.005")], "0", ["0.01", "0.01"], ["0.02", "0", "0.02"]),
    ("USD", [("1", "0.004"), ("1", "0.004")], "0", ["0", "0"], ["0", "0", "0"]),
    ("USD", [("1", "100"), ("1", "-0.005")], "0", ["100", "-0.01"], ["99.99", "0", "99.99"]),
    ("USD", [("-1", "0.005"), ("1", "1")], "0", ["-0.01", "1"], ["0.99", "0", "0.99"]),
    ("USD", [("1", "0.1"), ("1", "0.2")], "0", ["0.1", "0.2"], ["0.3", "0", "0.3"]),
    # Tax on each line would be 0.01 + 0.01 + 0.01; on the sum it is 0.02.
    ("USD", [("1", "0.1"), ("1", "0.1"), ("1", "0.1")], "5", ["0.1", "0.1", "0.1"], ["0.3", "0.02", "0.32"]),
    ("USD", [("1", "10.10")], "8.875", ["10.10"], ["10.10", "0.90", "11.00"]),
    ("USD", [("1", "0.3")], "8.333333", ["0.3"], ["0.3", "0.02", "0.32"]),
    ("USD", [("1", "99.99")], "100", ["99.99"], ["99.99", "99.99", "199.98"]),
    ("JPY", [("1", "100.5"), ("1", "-0.5")], "10", ["101", "-1"], ["100", "10", "110"]),
    ("JPY", [("3", "33.5")], "8", ["101"], ["101", "8", "109"]),
    ("JPY", [("1", "5")], "10", ["5"], ["5", "1", "6"]),
    ("KWD", [("1.5", "0.333")], "0", ["0.5"], ["0.5", "0", "0.5"]),
    ("KWD", [("1", "10.0005")], "5", ["10.001"], ["10.001", "0.5", "10.501"]),
    ("CLF", [("1", "1.00005")], "19", ["1.0001"], ["1.0001", "0.19", "1.1901"]),
    ("CLF", [("2.5", "0.00003")], "0", ["0.0001"], ["0.0001", "0", "0.0001"]),
]


@pytest.mark.parametrize(("currency", "lines", "tax", "amounts", "sums"), GOLDEN)
def test_hard_cases_worked_by_hand(
    currency: str, lines: list[tuple[str, str]], tax: str, amounts: list[str], sums: list[str]
) -> None:
    pairs = [(Decimal(quantity), Decimal(rate)) for quantity, rate in lines]
    totals = compute_totals(pairs, Decimal(tax), EXPONENT[currency])
    assert list(totals.amounts) == [Decimal(amount) for amount in amounts]
    assert [totals.subtotal, totals.tax_amount, totals.total] == [Decimal(amount) for amount in sums]


@given(LINES, PERCENTAGES, EXPONENTS)
def test_the_rule_holds_for_any_lines(
    lines: list[tuple[Decimal, Decimal]], tax_rate: Decimal, exponent: int
) -> None:
    totals = compute_totals(lines, tax_rate, exponent)
    amounts = [half_away(Fraction(quantity) * Fraction(rate), exponent) for quantity, rate in lines]
    tax_amount = half_away(sum(amounts) * Fraction(tax_rate) / 100, exponent)
    assert [Fraction(amount) for amount in totals.amounts] == amounts
    assert Fraction(totals.subtotal) == sum(amounts)
    assert Fraction(totals.tax_amount) == tax_amount
    assert Fraction(totals.total) == sum(amounts) + tax_amount


@given(LINES, PERCENTAGES, EXPONENTS)
def test_turning_every_sign_turns_every_amount(
    lines: list[tuple[Decimal, Decimal]], tax_rate: Decimal, exponent: int
) -> None:
    totals = compute_totals(lines, tax_rate, exponent)
    turned = compute_totals([(quantity.copy_negate(), rate) for quantity, rate in lines], tax_rate, exponent)
    assert turned.total == totals.total.copy_negate()
    assert turned.tax_amount == totals.tax_amount.copy_negate()


@given(st.lists(st.tuples(_QUANTITIES, _QUANTITIES), min_size=2, max_size=8))
def test_the_order_of_the_lines_changes_nothing_in_the_sum(lines: list[tuple[Decimal, Decimal]]) -> None:
    there, back = (compute_totals(order, Decimal("7.7"), 2) for order in (lines, lines[::-1]))
    assert (there.subtotal, there.tax_amount, there.total) == (back.subtotal, back.tax_amount, back.total)


def test_five_thousand_of_the_largest_lines_are_exact_to_the_last_digit() -> None:
    largest = Decimal("999999999999.999999")
    totals = compute_totals([(largest, largest)] * 5_000, Decimal("99.999999"), 4)
    exact = Context(prec=200, rounding=ROUND_HALF_UP)
    line = exact.multiply(largest, largest).quantize(Decimal("0.0001"), context=exact)
    subtotal = exact.multiply(line, Decimal(5_000))
    tax = exact.multiply(subtotal, Decimal("0.99999999")).quantize(Decimal("0.0001"), context=exact)
    assert totals.subtotal == subtotal
    assert exact.compare(totals.subtotal, subtotal) == 0
    assert exact.compare(totals.tax_amount, tax) == 0
    assert exact.compare(totals.total, exact.add(subtotal, tax)) == 0
