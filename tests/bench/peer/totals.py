"""What the lines of a document add up to, in exact decimals."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from tests.bench.peer.schemas import ItemIn

EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "JOD": 3}


def rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-EXPONENTS.get(currency, 2)), rounding=ROUND_HALF_UP)


def amounts_of(items: Sequence[ItemIn], currency: str) -> list[Decimal]:
    return [rounded(item.quantity * item.rate, currency) for item in items]


def tax_on(subtotal: Decimal, tax_rate: Decimal, currency: str) -> Decimal:
    return rounded(subtotal * tax_rate / 100, currency)
