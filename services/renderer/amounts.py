"""Numbers and dates as a reader sees them; pure. Every value is printed exactly, none is rounded here."""

import copy
from collections.abc import Callable
from datetime import date
from decimal import Decimal, localcontext

from babel import Locale
from babel.dates import format_date
from babel.numbers import NumberPattern, get_currency_symbol

NO_BREAK_SPACE = "\xa0"
RATE_DECIMALS_MAX = 6
# Enough for the sum of 5,000 lines of 10^12 times 10^12 with six decimals.
DIGITS_MAX = 60
GENERIC_SYMBOL = "¤"

Money = Callable[[Decimal], str]


def money(locale: Locale, currency: str, *, decimals_min: int, decimals_max: int) -> Money:
    """A writer of amounts such as ``$5,000.00``, ``¥5,000`` or ``KWD 1.234``."""
    symbol = get_currency_symbol(currency, locale)
    pattern = _spaced(locale.currency_formats["standard"], symbol if symbol != GENERIC_SYMBOL else currency)
    pattern.frac_prec = (decimals_min, decimals_max)
    return lambda amount: _apply(pattern, amount, locale)


def number(locale: Locale) -> Callable[[Decimal], str]:
    """A writer of quantities and percentages: the digits that were given, less zeros at the end."""
    pattern = copy.copy(locale.decimal_formats[None])
    pattern.frac_prec = (0, RATE_DECIMALS_MAX)
    return lambda amount: _apply(pattern, amount, locale)


def day(locale: Locale, value: date) -> str:
    """The month in letters, so that no reader takes it for the day: ``1 March 2026``."""
    return format_date(value, "d MMMM y", locale=locale)


def _spaced(standard: NumberPattern, symbol: str) -> NumberPattern:
    """The pattern with its symbol written in, a space between letters and digits (CLDR, currencySpacing)."""
    pattern = copy.copy(standard)
    before = symbol + (NO_BREAK_SPACE if symbol[-1].isalpha() else "")
    positive, negative = standard.prefix
    pattern.prefix = positive.replace(GENERIC_SYMBOL, before), negative.replace(GENERIC_SYMBOL, before)
    positive, negative = standard.suffix
    pattern.suffix = positive.replace(GENERIC_SYMBOL, symbol), negative.replace(GENERIC_SYMBOL, symbol)
    return pattern


def _apply(pattern: NumberPattern, amount: Decimal, locale: Locale) -> str:
    with localcontext(prec=DIGITS_MAX):
        return pattern.apply(amount, locale, currency_digits=False)
