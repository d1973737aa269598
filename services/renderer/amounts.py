"""Numbers and dates as a reader of a locale sees them; pure. Every value is printed exactly, none is rounded here.

A number runs from left to right in every locale and holds no mark of direction, so that it is found and copied as what
it looks like: digits are Latin, as in what a caller has written beside them, a minus is what a keyboard has, and signs
stand where English has them if the text around runs from right to left.
"""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal, localcontext
from functools import lru_cache
from unicodedata import bidirectional

from babel import Locale
from babel.dates import format_date
from babel.numbers import NumberPattern, get_currency_symbol

NO_BREAK_SPACE = "\xa0"
# Enough for the sum of 5,000 lines of 10^12 times 10^12 with six decimals.
DIGITS_MAX = 60
GENERIC_SYMBOL = "¤"
MARKS = "\u200e\u200f\u061c"
# A locale's writers are made once, for as many currencies as there are.
WRITERS_MAX = 4096
# CLDR's plain Portuguese is Brazil's; here that has a name of its own.
CLDR = {"pt": "pt-PT"}
# The wide sign comes from another font than its digits, and looks it.
SYMBOLS = {"￥": "¥"}

Writer = Callable[[Decimal], str]


@lru_cache(WRITERS_MAX)
def money(locale: str, currency: str, *, decimals_min: int) -> Writer:
    """A writer of amounts such as ``$5,000.00``, ``5.000,00 €`` or ``KWD 1.234``, with all decimals that they have."""
    figures = _figures(locale)
    pattern = figures.currency_formats["standard"]
    return _writer(figures, *_spaced(pattern, _symbol(locale, currency)), decimals_min)


@lru_cache(WRITERS_MAX)
def number(locale: str) -> Writer:
    """A writer of quantities: the digits that were given, less zeros at the end."""
    figures = _figures(locale)
    pattern = figures.decimal_formats[None]
    return _writer(figures, pattern.prefix, pattern.suffix, 0)


@lru_cache(WRITERS_MAX)
def percent(locale: str) -> Writer:
    """A writer of percentages, given as such: 7.5 is ``7.5%`` or ``7,5 %``."""
    figures = _figures(locale)
    pattern = figures.percent_formats[None]
    return _writer(figures, pattern.prefix, pattern.suffix, 0)


@lru_cache(WRITERS_MAX)
def day(locale: str, value: date) -> str:
    """The month in letters, so that no reader takes it for the day: ``March 1, 2026``, ``1. März 2026``."""
    return format_date(value, "long", locale=cldr(locale))


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    with localcontext(prec=DIGITS_MAX):
        return sum(amounts, Decimal())


@lru_cache(WRITERS_MAX)
def cldr(locale: str) -> Locale:
    return Locale.parse(CLDR.get(locale, locale), sep="-")


def _figures(locale: str) -> Locale:
    """Whose patterns and separators a locale's numbers have."""
    known = cldr(locale)
    return known if known.text_direction == "ltr" else cldr("en")


def _symbol(locale: str, currency: str) -> str:
    """The locale's own, or the code where there is none or it runs from right to left and would turn the number."""
    symbol = get_currency_symbol(currency, cldr(locale)).strip(MARKS)
    turns = any(bidirectional(character) in {"R", "AL"} for character in symbol)
    return currency if turns or symbol == GENERIC_SYMBOL else SYMBOLS.get(symbol, symbol)


def _spaced(standard: NumberPattern, symbol: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands before and after, with a space between letters and digits (CLDR, currencySpacing)."""
    before = symbol + (NO_BREAK_SPACE if symbol[-1].isalpha() else "")
    prefix = tuple(
        part.replace(GENERIC_SYMBOL, before if part.endswith(GENERIC_SYMBOL) else symbol)
        for part in standard.prefix
    )
    return prefix, tuple(part.replace(GENERIC_SYMBOL, symbol) for part in standard.suffix)


def _writer(figures: Locale, before: tuple[str, ...], after: tuple[str, ...], decimals_min: int) -> Writer:
    """``before`` and ``after`` are a positive and a negative number's; a negative zero is none."""
    symbols = figures.number_symbols["latn"]
    group, point = symbols["group"], symbols["decimal"]

    def write(amount: Decimal) -> str:
        whole, _, fraction = f"{amount.copy_abs():,f}".partition(".")
        fraction = fraction.rstrip("0").ljust(decimals_min, "0")
        digits = whole.replace(",", group) + (point + fraction if fraction else "")
        is_negative = amount < 0
        return before[is_negative] + digits + after[is_negative]

    return write
