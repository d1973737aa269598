"""Bodies: what is no JSON is 400, what breaks a rule is 422 with all the broken fields, and nothing is 500."""

from typing import Any

import pytest
from account import Account, refused
from bodies import CLIENT, JSON, LINE, document, line

NO_JSON = [
    b"", b" \n", b"{", b"{}x", b"{'a': 1}", b'{"a": 1,}', b"NaN", b'{"a": Infinity}', b'{"a": 01}', b'{"a": "\xff"}',
    b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), b'{"a": "\x01"}', b'{"a": "\\ud800"}',
    b'{"a": "\\udc00\\ud800"}', b'{"a": "\xed\xa0\x80"}', b"[" * 500_000, b'{"a":' * 100_000,
    b'{"rate": ' + b"1" * 5_000 + b', "deep": ' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: repr(body[:16]))
@pytest.mark.parametrize("path", ["/v1/documents", "/v1/clients"])
def test_what_is_no_json_is_400(house: Account, path: str, body: bytes) -> None:
    refused(house.http.post(path, content=body, headers=JSON), 400, "invalid_json")


@pytest.mark.parametrize("body", NO_JSON[:4], ids=repr)
def test_a_change_that_is_no_json_is_400(house: Account, body: bytes) -> None:
    for path in (f"/v1/documents/{house.document()['id']}", f"/v1/clients/{house.client_id}"):
        refused(house.http.put(path, content=body, headers=JSON), 400, "invalid_json")


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "7", "true", "[{}]", "1e400", "1" * 100_000])
@pytest.mark.parametrize("path", ["/v1/documents", "/v1/clients"])
def test_a_body_that_is_no_object_is_422(house: Account, path: str, body: str) -> None:
    refused(house.http.post(path, content=body, headers=JSON), 422, "validation_error")


def test_the_documented_error_comes_word_for_word(house: Account) -> None:
    body = document(house.client_id)
    del body["type"]
    answer = house.http.post("/v1/documents", json=body)
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "validation_error",
        "message": "The type field is required",
        "details": {"type": "This field is required"},
    }


def test_all_the_broken_fields_are_told_at_once_and_the_unknown_client_with_them(house: Account) -> None:
    body = {
        "client_id": "cl_none", "currency": "XXX", "issued_date": "2026-02-30", "due_date": "soon", "tax_rate": -1,
        "notes": "\x00", "template": "baroque", "status": "paid", "due_dat": "2026-01-01", "items": [
            LINE, {"title": "", "quantity": True, "rate": "x", "discount": 1}, {"title": "a", "quantity": 1}, 5,
        ],
    }  # fmt: skip
    details = refused(house.http.post("/v1/documents", json=body), 422, "validation_error")
    assert set(details) == {
        "type", "client_id", "currency", "issued_date", "due_date", "tax_rate", "notes", "template", "status",
        "due_dat", "items[1].title", "items[1].quantity", "items[1].rate", "items[1].discount", "items[2].rate",
        "items[3]",
    }  # fmt: skip
    assert details["due_dat"] == "Unknown field"
    assert details["type"] == details["items[2].rate"] == "This field is required"
    assert details["items[1].rate"] == "Must be a number"


def test_a_change_tells_the_unknown_client_with_the_other_faults(house: Account) -> None:
    draft = house.document()
    answer = house.put(draft["id"], client_id="cl_none", notes=5, items=[line(rate=-1)])
    assert set(refused(answer, 422, "validation_error")) == {"client_id", "notes", "items"}
    assert house.get(draft["id"]) == draft


@pytest.mark.parametrize("client_id", ["cl_none", "x", "cl_" + "0" * 34, "é" * 50, "doc_" + "0" * 34])
def test_an_unknown_client_is_a_fault_of_its_field(house: Account, client_id: str) -> None:
    assert refused(house.post(client_id=client_id), 422, "validation_error") == {
        "client_id": "No such client"
    }
    answer = house.put(house.document()["id"], client_id=client_id)
    assert refused(answer, 422, "validation_error") == {"client_id": "No such client"}


@pytest.mark.parametrize("client_id", ["", " ", "a\x00b", "x" * 101, 5, [], True])
def test_a_client_id_that_could_not_be_one_breaks_nothing_else(house: Account, client_id: Any) -> None:
    answer = house.post(client_id=client_id, template="baroque")
    assert set(refused(answer, 422, "validation_error")) == {"client_id", "template"}


NUMBERS = [
    "1e400", "-1e400", "1e1000000", "-1e1000000", "1e99999999999999999999", "1e-400", "1e-99999999999999999999",
    "1000000000000", "-1000000000000", "999999999999.9999999", "0.0000001", "1" * 100_000, "-" + "9" * 100_000,
    "1." + "1" * 100_000, "0." + "0" * 100_000 + "1", "1" * 50_000 + "e-50000", '"1e3"', '"NaN"', '""', "true", "null",
    '"' + "1" * 100_000 + '"', "[]", '"२"',
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
@pytest.mark.parametrize("field", ["quantity", "rate"])
def test_a_number_beyond_the_bounds_is_422_at_its_field(house: Account, field: str, number: str) -> None:
    other = "rate" if field == "quantity" else "quantity"
    item = f'{{"title": "a", "{field}": {number}, "{other}": 1}}'
    body = f'{{"type": "quote", "client_id": "{house.client_id}", "items": [{item}]}}'
    answer = house.http.post("/v1/documents", content=body, headers=JSON)
    assert set(refused(answer, 422, "validation_error")) == {f"items[0].{field}"}


@pytest.mark.parametrize(
    "number", [number for number in NUMBERS if number != "null"], ids=lambda number: number[:20]
)
def test_a_tax_rate_beyond_its_bounds_is_422(house: Account, number: str) -> None:
    body = f'{{"tax_rate": {number}}}'
    answer = house.http.put(f"/v1/documents/{house.document()['id']}", content=body, headers=JSON)
    assert set(refused(answer, 422, "validation_error")) == {"tax_rate"}


@pytest.mark.parametrize("field", ["items", "notes", "bogus", "type"])
def test_a_number_too_long_for_any_field_is_told_where_it_stands(house: Account, field: str) -> None:
    body = f'{{"{field}": {"7" * 100_000}, "client_id": "\\ud800"}}'
    answer = house.http.put(f"/v1/documents/{house.document()['id']}", content=body, headers=JSON)
    assert field in refused(answer, 422, "validation_error")


@pytest.mark.parametrize(
    ("lines", "status"), [(0, 422), (1, 201), (5_000, 201), (5_001, 422)], ids=["none", "one", "5000", "5001"]
)
def test_a_document_has_one_to_five_thousand_lines(house: Account, lines: int, status: int) -> None:
    answer = house.post(items=[LINE] * lines)
    assert answer.status_code == status
    if status == 422:
        assert set(refused(answer, 422, "validation_error")) == {"items"}


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "bill"}, {"type": "Invoice"}, {"currency": "usd"}, {"currency": "XAU"}, {"currency": ""},
        {"issued_date": "1899-12-31"}, {"issued_date": "3000-01-01"}, {"issued_date": "2026-01-01T00:00:00Z"},
        {"due_date": "2026-13-01"}, {"due_date": ""}, {"template": "Clean"}, {"status": "overdue"}, {"status": "paid"},
        {"status": "cancelled"}, {"notes": "x" * 10_001}, {"notes": "a\x00b"}, {"tax_rate": 100.5}, {"tax_rate": ""},
        {"items": [line(rate=-1)]}, {"items": {}}, {"id": "doc_1"}, {"number": "INV-1"}, {"total": 5}, {"": 1},
        {"due_dat": None}, {"a\x00b": 1},
    ],
    ids=str,
)  # fmt: skip
def test_one_broken_field_is_told_by_its_name(house: Account, broken: dict[str, Any]) -> None:
    details = refused(house.post(**broken), 422, "validation_error")
    assert [name.replace("\\u0000", "\x00") for name in details] == list(broken)


@pytest.mark.parametrize(
    "title", ["", " ", "\t", "x" * 501, "a\x00b", 5, None, ["a"]], ids=lambda title: repr(title)[:12]
)
def test_a_line_has_a_title(house: Account, title: Any) -> None:
    details = refused(house.post(items=[LINE, line(title=title)]), 422, "validation_error")
    assert set(details) == {"items[1].title"}


def test_dates_are_held_together(house: Account) -> None:
    answer = house.post(issued_date="2026-03-02", due_date="2026-03-01")
    assert refused(answer, 422, "validation_error") == {"due_date": "Must not be before issued_date"}
    draft = house.document(issued_date="2026-03-01", due_date="2026-03-31")
    assert set(refused(house.put(draft["id"], issued_date="2026-04-01"), 422, "validation_error")) == {
        "due_date"
    }
    assert house.put(draft["id"], issued_date="2026-03-31").status_code == 200


@pytest.mark.parametrize("field", ["name", "email", "company", "country", "phone", "tax_id", "address_line1"])
@pytest.mark.parametrize("value", ["a\x00b", 7, ["x"], "x" * 300], ids=repr)
def test_a_clients_fields_are_text_that_can_be_kept(house: Account, field: str, value: Any) -> None:
    answer = house.http.post("/v1/clients", json={**CLIENT, field: value})
    assert set(refused(answer, 422, "validation_error")) == {field}


def test_a_null_is_as_good_as_absent_at_create(house: Account) -> None:
    nothing = dict.fromkeys(("currency", "issued_date", "tax_rate", "notes", "template", "status"))
    answered = house.document(**nothing)
    assert (answered["currency"], answered["status"], answered["template"]) == ("USD", "draft", "clean")
