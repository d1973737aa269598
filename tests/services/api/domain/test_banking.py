"""IBAN and BIC, in their form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.domain.banking import bic, iban
from services.api.domain.rules import Broken

# The examples of the registry that SWIFT publishes.
EXAMPLES = [
    "AD1200012030200359100100", "AE070331234567890123456", "AT611904300234573201", "BE68539007547034",
    "BR1800360305000010009795493C1", "CH9300762011623852957", "CZ6508000000192000145399", "DE89370400440532013000",
    "DK5000400440116243", "EE382200221020145685", "ES9121000418450200051332", "FI2112345600000785",
    "FR1420041010050500013M02606", "GB29NWBK60161331926819", "GR1601101250000000012300695", "HR1210010051863000160",
    "HU42117730161111101800000000", "IE29AIBK93115212345678", "IL620108000000099999999", "IS140159260076545510730339",
    "IT60X0542811101000000123456", "LT121000011101001000", "LU280019400644750000", "LV80BANK0000435195001",
    "MT84MALT011000012345MTLCAST001S", "NL91ABNA0417164300", "NO9386011117947", "PL61109010140000071219812874",
    "PT50000201231234567890154", "RO49AAAA1B31007593840000", "SA0380000000608010167519", "SE4550000000058398257466",
    "SI56263300012039086", "SK3112000000198742637541", "TR330006100519786457841326", "UA213223130000026007233566001",
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_iban_of_the_registry_is_right(example: str) -> None:
    spaced = " ".join(example[start : start + 4] for start in range(0, len(example), 4))
    assert iban(example) == iban(spaced) == iban(spaced.lower()) == example


@given(st.sampled_from(EXAMPLES), st.data())
def test_no_single_wrong_digit_passes(example: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(2, len(example) - 1).filter(lambda at: example[at].isdigit()))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda other: other != example[place]))
    with pytest.raises(Broken):
        iban(example[:place] + digit + example[place + 1 :])


@given(st.one_of(st.text(), st.integers(), st.none()))
def test_no_value_brings_the_check_down(value: Any) -> None:
    for rule in (iban, bic):
        try:
            rule(value)
        except Broken:
            continue


@pytest.mark.parametrize("given_", ["DEUTDEFF", "deutdeff500", "NEDS ZA JJ XXX"])
def test_a_bic_has_eight_or_eleven_characters(given_: str) -> None:
    assert bic(given_) == given_.replace(" ", "").upper()
