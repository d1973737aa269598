"""Amounts, quantities and days are written exactly, and as the reader of the currency expects."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renderer.amounts import day, money, number


@pytest.mark.parametrize(
    ("currency", "exponent", "amount", "written"),
    [
        ("USD", 2, "5000", "$5,000.00"),
        ("USD", 2, "-50", "-$50.00"),
        ("EUR", 2, "0", "€0.00"),
        ("CAD", 2, "1.5", "CA$1.50"),
        ("JPY", 0, "5000", "¥5,000"),
        ("KWD", 3, "1.234", "KWD\xa01.234"),
        ("CLF", 4, "-12.0001", "-CLF\xa012.0001"),
        ("XXX", 2, "1", "XXX\xa01.00"),
        ("USD", 2, "999999999998000000000001.00", "$999,999,999,998,000,000,000,001.00"),
    ],
)
def test_money_has_its_currency_and_all_its_decimals(
    currency: str, exponent: int, amount: str, written: str
) -> None:
    assert money("en", currency, decimals_min=exponent)(Decimal(amount)) == written


@pytest.mark.parametrize(
    ("rate", "written"),
    [("5000", "$5,000.00"), ("0.000123", "$0.000123"), ("1.50", "$1.50"), ("49.905", "$49.905")],
)
def test_a_rate_keeps_the_decimals_that_it_has(rate: str, written: str) -> None:
    assert money("en", "USD", decimals_min=2)(Decimal(rate)) == written


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        ("1", "1"),
        ("1.500000", "1.5"),
        ("-4", "-4"),
        ("1234567.654321", "1,234,567.654321"),
        ("0.000001", "0.000001"),
    ],
)
def test_a_quantity_is_as_it_was_given(quantity: str, written: str) -> None:
    assert number("en")(Decimal(quantity)) == written


def test_no_day_can_be_taken_for_a_month() -> None:
    assert day("en", date(2026, 3, 1)) == "March 1, 2026"


@given(st.decimals(min_value=-(10**24), max_value=10**24, places=4))
def test_no_digit_is_ever_lost(amount: Decimal) -> None:
    written = money("en", "CLF", decimals_min=4)(amount)
    assert Decimal(written.replace(",", "").replace("CLF\xa0", "")) == amount
