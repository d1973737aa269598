"""Exact money: decimals end to end, rounded half away from zero to the currency's ISO 4217 exponent."""

from decimal import ROUND_HALF_UP, Context, Decimal

from iso4217 import Currency

# 5,000 lines of 10^12 x 10^12 with 12 decimals, times a tax rate, need some 60 digits: none is ever lost.
EXACT = Context(prec=80, rounding=ROUND_HALF_UP)

# Codes without a minor unit (gold, test codes, "no currency") cannot be rounded to and are left out.
EXPONENTS: dict[str, int] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}


ZERO, _ONE = Decimal(0), Decimal(1)
_UNITS = {exponent: _ONE.scaleb(-exponent) for exponent in EXPONENTS.values()}


def round_amount(value: Decimal, exponent: int) -> Decimal:
    """``value`` at ``exponent`` decimals, half away from zero (EN 16931 rounds amounts so), without trailing zeros."""
    if value.same_quantum(_ONE):  # as most are: whole
        return value or ZERO
    return shortest(value.quantize(_UNITS[exponent], None, EXACT))


def shortest(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent: 5000.00 is 5000, 12.50 is 12.5.

    Also the zero below zero, which no reader expects, is 0.
    """
    if value.same_quantum(_ONE):
        return value or ZERO
    whole = value.quantize(_ONE, None, EXACT)
    if whole != value:
        return value.normalize(EXACT)
    return whole or ZERO


def plain(value: Decimal) -> Decimal:
    """The same number without the exponent that the database driver gives to large ones: 1E+4 is 10000."""
    return Decimal(f"{value:f}") if "E" in str(value) else value
