"""What is read by types in one go: the same as the rules would make of it, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.http import decode_json
from tests.services.api.domain.test_document import DEFAULTS, DOCUMENTS, LINE, body

ODD_TEXTS = [
    "",
    " ",
    "\u00a0",
    "\x00",
    "\ud800",
    "\\u0000",
    "a\nb",
    "x" * 501,
    "x" * 5_001,
    "x" * 10_001,
    None,
    5,
    ["x"],
]
ODD_NUMBERS = [
    None,
    True,
    "",
    "1.5",
    "-0",
    "1e5",
    "1_000",
    " 1",
    "NaN",
    "Infinity",
    1e30,
    1e-7,
    -0.0,
    0.1234567,
    "huge",
    [1],
]
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(ODD_TEXTS))
NUMBERS = st.one_of(st.integers(-5, 10**13), st.floats(-5, 10**13), st.sampled_from(ODD_NUMBERS))
DAYS = st.sampled_from(
    [
        None,
        "",
        "2026-03-01",
        "1899-12-31",
        "2999-12-31",
        "3000-01-01",
        "2026-02-30",
        "2026-3-1",
        "20260301",
        "2026-03-01T00:00:00",
    ]
)
ODD_LINES = st.fixed_dictionaries(
    {}, optional={"title": TEXTS, "description": TEXTS, "quantity": NUMBERS, "rate": NUMBERS, "unit": TEXTS}
)
USUAL_LINES = st.fixed_dictionaries(
    {"title": st.text(min_size=1, max_size=5), "quantity": NUMBERS, "rate": NUMBERS},
    optional={"description": TEXTS},
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["quote", "bill", None, 5, ["quote"]]),
    "client_id": TEXTS,
    "currency": st.sampled_from(["USD", "JPY", "", "usd", None, 5]),
    "issued_date": DAYS,
    "due_date": DAYS,
    "tax_rate": NUMBERS,
    "notes": TEXTS,
    "status": st.sampled_from(["sent", "paid", "", None, 5]),
    "template": st.sampled_from(["modern", "none", "", None, {}]),
    "locale": st.sampled_from(["de", "xx", "", None]),
    "page_size": st.sampled_from(["letter", "a0", None]),
    "external_id": TEXTS,
    "note": TEXTS,
    "metadata": st.one_of(TEXTS, st.dictionaries(st.text(max_size=3), TEXTS, max_size=2)),
}
BODIES = st.tuples(
    st.lists(
        st.one_of(USUAL_LINES, USUAL_LINES, USUAL_LINES, ODD_LINES, st.sampled_from([LINE, None, 5, []])),
        max_size=3,
    ),
    st.fixed_dictionaries({}, optional=FIELDS).flatmap(
        lambda fields: st.sets(st.sampled_from(sorted(FIELDS)), max_size=2).map(
            lambda names: {name: value for name, value in fields.items() if name in names}
        )
    ),
)


@given(BODIES)
@settings(max_examples=1_000)
def test_an_ordinary_body_is_read_as_the_rules_would_read_it(
    given_: tuple[list[Any], dict[str, Any]],
) -> None:
    lines, fields = given_
    raw = _json(body(items=lines, **fields))
    shortly = DOCUMENTS.ordinary(raw, DEFAULTS)
    if shortly is not None:
        assert repr(shortly) == repr(DOCUMENTS.new(decode_json(raw), DEFAULTS))


def _json(value: Any) -> bytes:
    """With an integer that Python would not write."""
    return json.dumps(value).encode().replace(b'"huge"', b"9" * 5_000)


ORDINARY: tuple[dict[str, Any], ...] = (
    {}, {"status": "sent"}, {"due_date": None}, {"issued_date": "2026-03-01", "due_date": "2026-03-01"},
    {"tax_rate": "19"},
    {"items": [{**LINE, "description": "One\nTwo", "rate": -0.5}, {**LINE, "quantity": "2.5"}]}, {"notes": "Grüße\n🧾"},
    {"currency": "JPY", "template": "modern", "locale": "de", "page_size": "letter"},
    {"external_id": "a", "metadata": {"a": "b"}}, dict.fromkeys(("notes", "currency", "status", "metadata")),
)  # fmt: skip


@pytest.mark.parametrize("fields", ORDINARY, ids=str)
def test_what_is_usual_is_ordinary(fields: dict[str, Any]) -> None:
    raw = _json(body(**fields))
    assert repr(DOCUMENTS.ordinary(raw, DEFAULTS)) == repr(DOCUMENTS.new(decode_json(raw), DEFAULTS))


def test_what_is_no_json_is_not_ordinary() -> None:
    for raw in (b"", b"{", b"[]", b"\xff", b'{"type":"quote","items":[' + b"[" * 10**6):
        assert DOCUMENTS.ordinary(raw, DEFAULTS) is None
