"""Amounts: exact, rounded half away from zero to the currency's ISO 4217 exponent, shown without surplus zeros."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.domain.money import EXPONENTS, plain, round_amount, shortest

# ISO 4217, table A.1: one of each class and the ones that are often wrong.
ISO_4217 = {
    "USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "MGA": 2, "MRU": 2, "HUF": 2, "TWD": 2,
    "JPY": 0, "KRW": 0, "ISK": 0, "CLP": 0, "VND": 0, "XAF": 0, "UGX": 0, "PYG": 0,
    "KWD": 3, "BHD": 3, "JOD": 3, "OMR": 3, "TND": 3, "IQD": 3, "LYD": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
DECIMALS = st.decimals(min_value=-(10**24), max_value=10**24, places=6, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(("code", "exponent"), ISO_4217.items())
def test_a_currency_has_the_exponent_of_iso_4217(code: str, exponent: int) -> None:
    assert EXPONENTS[code] == exponent


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "usd", "US", ""])
def test_what_has_no_minor_unit_is_no_currency_to_bill_in(code: str) -> None:
    assert code not in EXPONENTS


@pytest.mark.parametrize(
    ("value", "exponent", "rounded"),
    [
        ("0.5", 0, "1"), ("1.5", 0, "2"), ("2.5", 0, "3"), ("0.49999999", 0, "0"),
        ("-0.5", 0, "-1"), ("-1.5", 0, "-2"), ("-2.5", 0, "-3"),
        ("1.005", 2, "1.01"), ("-1.005", 2, "-1.01"), ("2.675", 2, "2.68"), ("1.0049999", 2, "1"),
        ("1.0005", 3, "1.001"), ("-1.0005", 3, "-1.001"),
        ("1.00005", 4, "1.0001"), ("-1.00005", 4, "-1.0001"),
        ("999999999999999999999999.995", 2, "1000000000000000000000000"),
    ],
)  # fmt: skip
def test_halves_are_rounded_away_from_zero(value: str, exponent: int, rounded: str) -> None:
    assert str(round_amount(Decimal(value), exponent)) == rounded


@given(DECIMALS, st.sampled_from([0, 2, 3, 4]))
def test_rounding_moves_a_value_by_half_a_unit_at_most_and_is_the_same_for_both_signs(
    value: Decimal, exponent: int
) -> None:
    rounded = round_amount(value, exponent)
    assert abs(rounded - value) * 2 <= Decimal(1).scaleb(-exponent)
    assert round_amount(rounded, exponent) == rounded
    assert round_amount(value.copy_negate(), exponent) == rounded.copy_negate()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("5000.00", "5000"), ("12.50", "12.5"), ("0.00", "0"), ("-0.00", "0"), ("-0", "0"), ("100", "100"),
        ("1E+3", "1000"), ("-12.3400", "-12.34"), ("1000000000000000000000000.10", "1000000000000000000000000.1"),
    ],
)  # fmt: skip
def test_a_number_is_shown_short_and_plain(value: str, shown: str) -> None:
    assert str(shortest(Decimal(value))) == shown


@given(DECIMALS)
def test_the_short_form_is_the_same_number(value: Decimal) -> None:
    assert shortest(value) == value
    assert "E" not in str(shortest(value))


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1E+4", "10000"), ("1.0E+5", "100000"), ("7.50", "7.50"), ("0.000001", "0.000001"), ("-2.5E+9", "-2500000000")],
)  # fmt: skip
def test_a_number_from_the_database_is_plain_and_keeps_its_decimals(value: str, shown: str) -> None:
    assert str(plain(Decimal(value))) == shown
