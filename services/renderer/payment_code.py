"""The QR code that fills in a SEPA transfer (EPC069-12 v2.1): its payload, and its squares as one SVG path. Pure."""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
import zxingcpp

from shared.messages import RenderJob

NAME_LENGTH_MAX = 70
REMITTANCE_LENGTH_MAX = 140
# What a symbol of version 13 holds at level M, the largest that a bank's reader must take.
PAYLOAD_BYTES_MAX = 331
AMOUNT_MAX = Decimal("999999999.99")
# Whose banks take part in the SEPA credit transfer, by their IBANs (EPC409-09).
SEPA = {
    "AD", "AL", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GI", "GR",
    "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MC", "MD", "ME", "MK", "MT", "NL", "NO", "PL",
    "PT", "RO", "RS", "SE", "SI", "SK", "SM", "VA",
}  # fmt: skip
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
DARK = re.compile(rb"\0+")


class PaymentCode(msgspec.Struct, frozen=True):
    """``path`` is the d attribute of an SVG path in modules, ``size`` the side with its quiet zone; none is empty."""

    path: str = ""
    size: int = 0


NO_CODE = PaymentCode()


def payment_code(job: RenderJob, name: str) -> PaymentCode:
    """The code that pays ``name``, which is a single line.

    None where no bank could follow it: other money, no account in SEPA, no number yet.
    """
    iban = job.seller.iban
    if not (name and job.number and job.currency == "EUR" and 0 < job.total <= AMOUNT_MAX and is_sepa(iban)):
        return NO_CODE
    return code_of(payload(job, name))


def payload(job: RenderJob, name: str) -> bytes:
    """EPC069-12, section 3.2: service, version, UTF-8, transfer; bank, name, account, amount; our number."""
    seller, remittance = job.seller, " ".join((job.number or "").split())
    lines = (
        "BCD",
        "002",
        "1",
        "SCT",
        seller.bic if BIC.fullmatch(seller.bic) else "",
        name[:NAME_LENGTH_MAX].rstrip(),
        seller.iban,
        f"EUR{job.total:.2f}",
        "",
        "",
        remittance[:REMITTANCE_LENGTH_MAX],
    )
    return "\n".join(lines).encode()


def is_sepa(iban: str) -> bool:
    """Of a country in SEPA, with check digits that hold (ISO 13616, ISO 7064 mod 97)."""
    return bool(iban[:2] in SEPA and IBAN.fullmatch(iban)) and _remainder(iban) == 1


def code_of(content: bytes) -> PaymentCode:
    """Level M, the best mask, no ECI, which banks' readers need not know; a run of dark modules is a rectangle."""
    if len(content) > PAYLOAD_BYTES_MAX:
        return NO_CODE
    # Without a word about it the library declares bytes to be no text (ECI 899).
    code = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.QRCode, ec_level="M", eci="0")
    modules: Any = code.to_image(scale=1, add_quiet_zones=True)
    side, pixels = modules.shape[0], memoryview(modules).tobytes()
    return PaymentCode("".join(_rectangles(pixels, side)), side)


def _rectangles(pixels: bytes, side: int) -> Iterator[str]:
    """The quiet zone keeps a run from reaching into the next row."""
    for run in DARK.finditer(pixels):
        start, end = run.span()
        y, x = divmod(start, side)
        width = end - start
        yield f"M{x} {y}h{width}v1h-{width}z"


@lru_cache(1024)
def _remainder(iban: str) -> int:
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97
