"""Rows of CSV: what a spreadsheet must not run, what must stay a number, and what RFC 4180 asks for."""

import csv
import io

import pytest

from services.api.routes.tables import (
    DOCUMENT_COLUMNS,
    FORMULA_BEGINNINGS,
    document_rows,
    harmless,
    header_row,
)

BODY = b"""{"id":"doc_1","type":"invoice","number":null,"status":"sent","client_id":"cl_1","client":{"name":"@x"},
"currency":"EUR","issued_date":"2026-03-01","due_date":null,"items":[],"subtotal":-12.50,"tax_rate":0,
"tax_amount":-0.000001,"total":100000000000000000000.25,"notes":"-12.50","template":"clean","locale":null,
"page_size":null,"external_id":"=1","metadata":{"a":"b"},"created_at":"2026-03-01T00:00:00Z",
"updated_at":"2026-03-01T00:00:00Z"}"""


def test_numbers_are_written_as_they_are_answered_and_texts_behind_an_apostrophe() -> None:
    (row,) = csv.DictReader(io.StringIO(document_rows([BODY]).decode()), DOCUMENT_COLUMNS)
    amounts = {name: row[name] for name in ("subtotal", "tax_rate", "tax_amount", "total")}
    assert amounts == {
        "subtotal": "-12.50",
        "tax_rate": "0",
        "tax_amount": "-0.000001",
        "total": "100000000000000000000.25",
    }
    assert (row["notes"], row["client_name"], row["external_id"]) == ("'-12.50", "'@x", "'=1")


def test_what_is_null_is_an_empty_cell() -> None:
    (row,) = csv.DictReader(io.StringIO(document_rows([BODY]).decode()), DOCUMENT_COLUMNS)
    assert {name for name, value in row.items() if value == ""} == {
        "number",
        "due_date",
        "locale",
        "page_size",
    }


def test_a_body_of_the_release_before_has_no_external_id() -> None:
    assert b",,2026-03-01T00" in document_rows([BODY.replace(b'"external_id":"=1",', b"")])


@pytest.mark.parametrize("beginning", sorted(FORMULA_BEGINNINGS), ids=ascii)
def test_a_formula_is_only_text(beginning: str) -> None:
    assert harmless(f"{beginning}1+1") == f"'{beginning}1+1"
    assert harmless(f" {beginning}1") == f" {beginning}1"


@pytest.mark.parametrize("text", ["", None, "1", "'", '"=1', "a=b", "(5)"])
def test_what_is_no_formula_stays_as_it_is(text: str | None) -> None:
    assert harmless(text) == text


def test_cells_with_what_separates_them_are_quoted_and_lines_end_as_rfc_4180_says() -> None:
    assert header_row(["a", "b,c", 'd"e', "f\ng", "h\ri"]) == b'a,"b,c","d""e","f\ng","h\ri"\r\n'
