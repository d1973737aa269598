"""Amounts, quantities and days are written exactly, and as the reader of the currency expects."""

import re
import unicodedata
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renderer.amounts import cldr, day, money, number, percent, total_of
from shared.locales import LOCALES


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


@pytest.mark.parametrize(
    ("locale", "currency", "written"),
    [
        ("en-GB", "GBP", "-£1,234,567.50"),
        ("de", "EUR", "-1.234.567,50\xa0€"),
        ("fr", "EUR", "-1\u202f234\u202f567,50\xa0€"),
        ("es", "EUR", "-1.234.567,50\xa0€"),
        ("it", "CHF", "-1.234.567,50\xa0CHF"),
        ("nl", "EUR", "€\xa0-1.234.567,50"),
        ("pl", "PLN", "-1\xa0234\xa0567,50\xa0zł"),
        ("pt", "EUR", "-1\xa0234\xa0567,50\xa0€"),
        ("pt-BR", "BRL", "-R$\xa01.234.567,50"),
        ("ar", "SAR", "-SAR\xa01,234,567.50"),
        ("ar", "USD", "-US$1,234,567.50"),
        ("he", "ILS", "-₪1,234,567.50"),
        ("he", "CNY", "-CN¥1,234,567.50"),
        ("ja", "USD", "-$1,234,567.50"),
        ("zh", "CNY", "-¥1,234,567.50"),
        ("ko", "KRW", "-₩1,234,567.50"),
        ("sv", "SEK", "-1\xa0234\xa0567,50\xa0kr"),
        ("da", "DKK", "-1.234.567,50\xa0kr."),
        ("nb", "NOK", "-1\xa0234\xa0567,50\xa0kr"),
        ("fi", "EUR", "-1\xa0234\xa0567,50\xa0€"),
    ],
)
def test_money_is_written_as_its_reader_writes_it(locale: str, currency: str, written: str) -> None:
    assert money(locale, currency, decimals_min=2)(Decimal("-1234567.5")) == written


def test_a_yen_has_the_width_of_its_digits() -> None:
    assert money("ja", "JPY", decimals_min=0)(Decimal(5000)) == "¥5,000"


@pytest.mark.parametrize(
    ("locale", "written"),
    [("en", "7.125%"), ("de", "7,125\xa0%"), ("fr", "7,125\xa0%"), ("it", "7,125%"), ("ar", "7.125%")],
)
def test_a_percentage_is_the_number_that_was_given(locale: str, written: str) -> None:
    assert percent(locale)(Decimal("7.125000")) == written


@pytest.mark.parametrize(
    ("locale", "written"),
    [
        ("en", "March 1, 2026"),
        ("en-GB", "1 March 2026"),
        ("de", "1. März 2026"),
        ("fr", "1 mars 2026"),
        ("es", "1 de marzo de 2026"),
        ("it", "1 marzo 2026"),
        ("nl", "1 maart 2026"),
        ("pl", "1 marca 2026"),
        ("pt", "1 de março de 2026"),
        ("pt-BR", "1 de março de 2026"),
        ("ar", "1 مارس 2026"),
        ("he", "1 במרץ 2026"),
        ("ja", "2026年3月1日"),
        ("zh", "2026年3月1日"),
        ("ko", "2026년 3월 1일"),
        ("sv", "1 mars 2026"),
        ("da", "1. marts 2026"),
        ("nb", "1. mars 2026"),
        ("fi", "1. maaliskuuta 2026"),
    ],
)
def test_no_day_can_be_taken_for_a_month(locale: str, written: str) -> None:
    assert day(locale, date(2026, 3, 1)) == written


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("currency", ["EUR", "USD", "CNY", "AED", "ILS", "KWD", "XXX"])
def test_a_number_turns_with_no_text_around_it(locale: str, currency: str) -> None:
    """No letter that runs from right to left and no invisible mark, which a search or a copy would stumble over."""
    written = money(locale, currency, decimals_min=2)(Decimal("-1234.5")) + percent(locale)(Decimal("-1.5"))
    for character in written:
        assert unicodedata.bidirectional(character) not in {"R", "AL", "AN"}
        assert unicodedata.category(character) != "Cf"


@pytest.mark.parametrize("locale", LOCALES)
def test_thousands_stand_in_threes(locale: str) -> None:
    """What a writer relies on; a locale that groups otherwise needs another one."""
    known = cldr(locale)
    patterns = (known.currency_formats["standard"], known.decimal_formats[None], known.percent_formats[None])
    assert {pattern.grouping for pattern in patterns} == {(3, 3)}


@given(st.sampled_from(LOCALES), st.decimals(min_value=-(10**30), max_value=10**30, places=6))
def test_no_digit_is_ever_lost(locale: str, amount: Decimal) -> None:
    for write in (money(locale, "CLF", decimals_min=4), number(locale), percent(locale)):
        symbols = cldr(locale).number_symbols["latn"]
        written = write(amount)
        digits = re.search(r"[0-9.]+", written.replace(symbols["group"], "").replace(symbols["decimal"], "."))
        assert digits
        assert Decimal(digits[0]) == amount.copy_abs()
        assert ("-" in written) == (amount < 0)


def test_nothing_is_not_owed() -> None:
    assert money("en", "USD", decimals_min=2)(Decimal("-0.00")) == "$0.00"


def test_a_sum_of_many_large_amounts_is_exact() -> None:
    assert total_of([Decimal("1e24")] * 5000 + [Decimal("0.000001")]) == Decimal(
        "5000000000000000000000000000.000001"
    )
