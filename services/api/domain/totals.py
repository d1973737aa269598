"""From lines to a total, in the order in which the printed page is read."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from services.api.domain.money import EXACT, round_amount


class Totals(msgspec.Struct, frozen=True):
    amounts: tuple[Decimal, ...]
    subtotal: Decimal
    tax_amount: Decimal
    total: Decimal


def compute_totals(lines: Sequence[tuple[Decimal, Decimal]], tax_rate: Decimal, exponent: int) -> Totals:
    """Each line's quantity x rate is rounded (EN 16931 BT-131), their sum is exact (BR-CO-10), and tax is
    rounded once on the sum (BR-CO-17); ``tax_rate`` is in percent.
    """
    amounts = [round_amount(EXACT.multiply(quantity, rate), exponent) for quantity, rate in lines]
    subtotal = Decimal(0)
    for amount in amounts:
        subtotal = EXACT.add(subtotal, amount)
    tax_amount = round_amount(EXACT.multiply(subtotal, tax_rate).scaleb(-2, EXACT), exponent)
    return Totals(tuple(amounts), subtotal, tax_amount, EXACT.add(subtotal, tax_amount))
