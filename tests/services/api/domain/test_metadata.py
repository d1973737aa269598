"""What callers keep for themselves: which keys, texts and external ids there may be, and how a change is merged."""

from typing import Any

import pytest

from services.api.domain.metadata import (
    EXTERNAL_ID_CHARS_MAX,
    KEYS_MAX,
    is_external_id,
    metadata_over,
    own_rules,
    read_external_id,
)
from services.api.domain.rules import Broken

HELD = {"order": "6735", "colour": "red"}


def faults_of(value: Any, held: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(Broken) as raised:
        metadata_over(held or {})(value)
    return raised.value.faults


@pytest.mark.parametrize(
    ("change", "merged"),
    [
        ({}, HELD),
        ({"size": "L"}, {**HELD, "size": "L"}),
        ({"order": "7"}, {"order": "7", "colour": "red"}),
        ({"order": None}, {"colour": "red"}),
        ({"order": ""}, {"colour": "red"}),
        ({"unknown": None, "size": ""}, HELD),
        ({"order": None, "colour": ""}, {}),
        (None, {}),
        ("", {}),
    ],
    ids=repr,
)
def test_a_change_is_merged_and_what_is_null_or_empty_is_taken_away(
    change: Any, merged: dict[str, str]
) -> None:
    assert metadata_over(HELD)(change) == merged
    assert HELD == {"order": "6735", "colour": "red"}


@pytest.mark.parametrize(
    "kept", [{"k" * 40: "v" * 500}, {"é 漢字 🧾": "\t\n"}, {"a.b[0]": " "}, {"metadata": "{}"}], ids=repr
)
def test_any_key_and_text_within_the_bounds_is_kept_as_given(kept: dict[str, str]) -> None:
    assert metadata_over({})(kept) == kept


@pytest.mark.parametrize("value", [5, True, False, 1.5, ["a"], {"a": "b"}, [], {}], ids=repr)
def test_what_is_no_text_is_named_by_its_key(value: Any) -> None:
    (fault,) = faults_of({"good": "x", "key": value}).items()
    assert fault[0] == ".key"
    assert "text" in fault[1]


@pytest.mark.parametrize("value", [5, True, [], ["a"], "text", 1.5], ids=repr)
def test_what_is_no_object_is_refused_as_a_whole(value: Any) -> None:
    assert set(faults_of(value)) == {""}


def test_all_the_faults_are_told_at_once() -> None:
    keys = {
        "": "a",
        " ": "a",
        "k" * 41: "a",
        "a\x00": "a",
        "long": "v" * 501,
        "nul": "\x00",
        "number": 5,
        "good": "x",
    }
    assert set(faults_of(keys)) == {".", ". ", f".{'k' * 41}", ".a\\u0000", ".long", ".nul", ".number"}


def test_there_are_at_most_fifty_keys_after_the_change() -> None:
    held = {f"key {index}": "x" for index in range(KEYS_MAX)}
    assert metadata_over({})(held) == held
    assert len(metadata_over(held)({"key 0": None, "one more": "x", "key 1": "y"})) == KEYS_MAX
    assert faults_of({"one more": "x"}, held) == {"": "Must hold at most 50 keys"}
    assert set(faults_of({"one more": "x", "bad": 5}, held)) == {"", ".bad"}


@pytest.mark.parametrize(
    "given",
    ["a", "x" * EXTERNAL_ID_CHARS_MAX, "INV/2026/1", "é 漢字 🧾", "..", "%2F", "a b", "-", '"'],
    ids=repr,
)
def test_any_printable_characters_are_an_external_id(given: str) -> None:
    assert read_external_id(given) == given
    assert is_external_id(given)


@pytest.mark.parametrize(
    "given",
    [
        " ", " a", "a ", "x" * (EXTERNAL_ID_CHARS_MAX + 1), "a\x00", "a\nb", "\u202e", "\ufffd", "\u00a0",
        5, True, [], {},
    ],
    ids=repr,
)  # fmt: skip
def test_nothing_else_is_one(given: Any) -> None:
    with pytest.raises(Broken):
        read_external_id(given)
    assert not isinstance(given, str) or not is_external_id(given)


@pytest.mark.parametrize("given", [None, ""])
def test_none_is_none(given: str | None) -> None:
    assert read_external_id(given) is None


def test_what_the_path_has_said_may_be_said_again_and_not_otherwise() -> None:
    rule = own_rules({}, "mine")["external_id"]
    assert rule("mine") == "mine"
    for other in ("another", None, "", 5):
        with pytest.raises(Broken):
            rule(other)
