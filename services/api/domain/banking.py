"""Where a seller is paid: the IBAN and the BIC, checked in their form, since no bank is asked."""

import re
from typing import Any

from services.api.domain.rules import Broken

# ISO 13616: how long a country's IBAN is, by the registry of SWIFT.
_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
CHARS_MAX = 100  # as typed, with spaces anywhere


def iban(value: Any) -> str:
    """In capitals without spaces, of its country's length, with check digits that hold (ISO 13616, ISO 7064 mod 97)."""
    given = _compact(value)
    if _IBAN.fullmatch(given) and _LENGTHS.get(given[:2]) == len(given) and _remainder(given) == 1:
        return given
    raise Broken(
        "Must be an IBAN whose length and check digits are right, such as DE89 3704 0044 0532 0130 00"
    )


def bic(value: Any) -> str:
    """In capitals without spaces, 8 or 11 characters (ISO 9362)."""
    given = _compact(value)
    if _BIC.fullmatch(given):
        return given
    raise Broken("Must be a BIC of 8 or 11 characters, such as COBADEFFXXX")


def _compact(value: Any) -> str:
    known = isinstance(value, str) and len(value) <= CHARS_MAX and value.isascii()
    return value.replace(" ", "").upper() if known else ""


def _remainder(given: str) -> int:
    return int("".join(str(int(character, 36)) for character in given[4:] + given[:4])) % 97
