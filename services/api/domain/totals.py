"""From lines to a total, in the order in which the printed page is read."""

from collections.abc import Iterable
from decimal import Decimal, getcontext, setcontext

import msgspec

from services.api.domain.money import EXACT, ZERO, round_amount, shortest


class Totals(msgspec.Struct, frozen=True, gc=False):
    """Without trailing zeros."""

    amounts: list[Decimal]
    subtotal: Decimal
    tax_amount: Decimal
    total: Decimal


def compute_totals(lines: Iterable[tuple[Decimal, Decimal]], tax_rate: Decimal, exponent: int) -> Totals:
    """Each line's quantity x rate is rounded (EN 16931 BT-131), their sum is exact (BR-CO-10), and tax is
    rounded once on the sum (BR-CO-17); ``tax_rate`` is in percent.
    """
    ambient = getcontext()
    setcontext(EXACT)  # to make a local one of it takes longer than the sums
    try:
        amounts = [round_amount(quantity * rate, exponent) for quantity, rate in lines]
        subtotal = shortest(sum(amounts, ZERO))
        tax_amount = round_amount((subtotal * tax_rate).scaleb(-2), exponent)
        return Totals(amounts, subtotal, tax_amount, shortest(subtotal + tax_amount))
    finally:
        setcontext(ambient)
