"""The rules of single fields: what passes, what is kept, and the sentence for what does not."""

from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.domain import rules
from services.api.domain.rules import Broken, amount, check_fields, day, email, percentage, read_fields, text
from shared.errors import Problem

ASTRAL = "𝕳é\u0301 漢字 🧾\U0010fffd"


def sentence_of(rule: rules.Rule, value: Any) -> str:
    with pytest.raises(Broken) as raised:
        rule(value)
    return raised.value.faults[""]


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (1, "1"), (0, "0"), (-0, "0"), (5000, "5000"), (Decimal("1.50"), "1.50"), (Decimal("0.000001"), "0.000001"),
        ("12", "12"), ("12.340", "12.340"), ("-7.5", "-7.5"), (999_999_999_999, "999999999999"),
        (Decimal("999999999999.999999"), "999999999999.999999"), ("-999999999999.999999", "-999999999999.999999"),
        (Decimal("1e3"), "1000"), (Decimal("1.5E-3"), "0.0015"), (Decimal("1.50000000"), "1.5"),
        (Decimal("-0.0"), "0"), (Decimal("0e99999999"), "0"),
    ],
)  # fmt: skip
def test_quantities_and_rates_keep_their_number_as_given(given_value: Any, kept: str) -> None:
    assert str(amount(given_value)) == kept


@pytest.mark.parametrize(
    "broken",
    [
        10**12, -(10**12), "1000000000000", Decimal("1e12"), Decimal("1e400"), Decimal("-1e400"),
        Decimal("1e1000000"), Decimal("-1e999999999"), Decimal("Infinity"), Decimal("-Infinity"),
        10**4000, -(10**4000), Decimal("9" * 100_000), Decimal("999999999999.9999999999999999999999"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_a_quantity_has_a_magnitude_below_a_million_million(broken: Any) -> None:
    assert sentence_of(amount, broken)


@pytest.mark.parametrize(
    "broken",
    [Decimal("0.0000001"), Decimal("1e-400"), Decimal("1e-1000000"), "1.1234567", Decimal("1." + "1" * 99_999)],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_a_quantity_has_six_decimals_at_most(broken: Any) -> None:
    assert sentence_of(amount, broken) == "Must have at most 6 decimals"


@pytest.mark.parametrize(
    "broken",
    [True, False, None, "", " ", "1 000", "1,5", "1e3", "0x10", "1_000", "+1", ".5", "5.", "١٢",
     "1\n", "NaN", [], {}, "9" * 200],
)  # fmt: skip
def test_what_is_no_number_is_said_to_be_none(broken: Any) -> None:
    assert sentence_of(amount, broken) == "Must be a number"


@pytest.mark.parametrize("kept", [0, 100, Decimal("7.25"), "19", Decimal("99.999999")])
def test_a_percentage_is_from_none_to_all(kept: Any) -> None:
    assert percentage(kept) == Decimal(kept)


@pytest.mark.parametrize(
    "broken", [-1, Decimal("-0.01"), Decimal("100.01"), 101, Decimal("1e400"), Decimal("7.1234567"), "ten", True, ""]
)  # fmt: skip
def test_a_percentage_beyond_that_is_broken(broken: Any) -> None:
    assert sentence_of(percentage, broken)


@pytest.mark.parametrize("given_text", ["2026-03-01", "1900-01-01", "2999-12-31", "2028-02-29"])
def test_a_day_that_exists_is_a_day(given_text: str) -> None:
    assert day(given_text) == date.fromisoformat(given_text)


@pytest.mark.parametrize(
    "broken",
    ["", "2026-3-1", "20260301", "2026-02-29", "2026-13-01", "2026-00-10", "1899-12-31", "3000-01-01", "01.03.2026",
     "2026-03-01T00:00:00Z", "2026-W10-1", "२०२६-०३-०१", " 2026-03-01", "2026-03-01\n", 20260301, None, True],
)  # fmt: skip
def test_what_is_no_day_is_broken(broken: Any) -> None:
    assert sentence_of(day, broken)


@pytest.mark.parametrize(
    "given_text", ["jane@acme.example", "o'hara+x@a-b.co.uk", "jürgen@müller.example", "a@b.c"]
)
def test_what_looks_like_an_email_address_is_one(given_text: str) -> None:
    assert email(given_text) == given_text


@pytest.mark.parametrize(
    "broken",
    ["jane", "@acme.example", "jane@", "jane@acme", "a b@c.de", "a@b@c.de", "a@b..de", "a@.de", "a@b.", "a\n@b.de",
     "a@b.de\r\nBcc: x@y.z", "x" * 65 + "@b.de", "a@" + "b" * 252 + ".de", 7, ["a@b.de"]],
)  # fmt: skip
def test_what_does_not_look_like_an_email_address_is_none(broken: Any) -> None:
    assert sentence_of(email, broken)


def test_text_keeps_every_plane_of_unicode_and_is_counted_in_characters() -> None:
    rule = text(chars_max=len(ASTRAL))
    assert rule(ASTRAL) == ASTRAL
    assert "at most" in sentence_of(rule, ASTRAL + "x")


@pytest.mark.parametrize("broken", ["a\x00b", 7, None, ["a"], True])
def test_text_is_text_that_can_be_kept(broken: Any) -> None:
    assert sentence_of(text(chars_max=10), broken)


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u2003"])
def test_text_that_must_be_there_is_not_blank(blank: str) -> None:
    assert sentence_of(text(chars_max=10, chars_min=1), blank) == "Must not be empty"


def test_all_the_broken_fields_are_told_at_once() -> None:
    body = {"rate": "x", "due_dat": 1}
    values, faults = check_fields(body, {"title": text(chars_max=9), "rate": amount}, ("title", "rate"))
    assert values == {}
    assert faults == {
        "title": "This field is required", "rate": "Must be a number", "due_dat": "Unknown field",
    }  # fmt: skip


def test_the_message_for_one_missing_field_names_it() -> None:
    with pytest.raises(Problem) as raised:
        read_fields({}, {"type": text(chars_max=9)}, ("type",))
    assert raised.value.message == "The type field is required"
    assert raised.value.details == {"type": "This field is required"}


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_a_body_that_is_no_object_is_a_validation_error(body: object) -> None:
    with pytest.raises(Problem) as raised:
        read_fields(body, {})
    assert raised.value.code == "validation_error"


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5,
))  # fmt: skip
def test_no_json_value_brings_a_rule_down(value: Any) -> None:
    for rule in (amount, percentage, day, email, text(chars_max=5, chars_min=1), rules.one_of(("a",))):
        with suppress(Broken):
            rule(value)
