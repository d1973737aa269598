"""Which documents an export holds that is asked for by a filter: those that the list shows."""

from collections.abc import Iterator
from typing import Any

import pytest
from account import Account, refused
from bodies import line
from exported import asked, downloaded, ended, name_of, occupied, unzipped
from product import Product

from services.api.store.ids import new_id


def test_a_filter_chooses_as_the_list_does(account: Account) -> None:
    account.document()
    sent = [account.document(status="sent") for _ in range(3)]
    account.document(type="quote", status="sent")
    accepted = asked(account, filter={"type": "invoice", "status": "sent"})
    assert (accepted["total"], accepted["order"]) == (3, "newest")
    files = unzipped(downloaded(account, ended(account, accepted["id"])).content)
    assert list(files)[:-1] == [name_of(document) for document in sent[::-1]]
    assert asked(account, filter={}, order="oldest")["total"] == 5


FILTERS = {
    "type": "quote",
    "status": "overdue",
    "ids": lambda rows: [rows[0]["id"], rows[3]["id"]],
    "external_id": "order 3",
    "client_id": lambda rows: rows[2]["client_id"],
    "number": lambda rows: rows[2]["number"],
    "currency": "EUR",
    "issued_from": "2026-01-04",
    "issued_to": "2026-01-03",
    "due_from": "2026-02-05",
    "due_to": "2026-02-04",
    "min_total": 300,
    "max_total": "499.5",
    "updated_since": lambda rows: rows[4]["updated_at"],
    "q": "thing 3",
}


@pytest.fixture(scope="module")
def varied(product: Product) -> Iterator[tuple[Account, list[dict[str, Any]]]]:
    """An account whose exports wait, and its documents, which differ in all that a filter asks for."""
    with Account(product) as account:
        rows = [
            account.document(
                type=("invoice", "quote")[at % 2],
                status="draft" if at == 1 else "sent",
                client_id=account.client()["id"],
                external_id=f"order {at}",
                currency=("USD", "EUR")[at % 2],
                issued_date=f"2026-01-0{at + 1}",
                due_date=f"2026-02-0{at + 1}",
                items=[line(rate=100 * at, quantity=1)],
                notes=f"Thing {at}",
            )
            for at in range(6)
        ]
        occupied(account)
        yield account, rows


def chosen(account: Account, kept: dict[str, Any]) -> list[str]:
    """The documents of an export that is not made."""
    export = asked(account, filter=kept)
    (row,) = account.sql("select document_ids from api.exports where id = $1", export["id"])
    account.http.post(f"/v1/exports/{export['id']}/cancel")
    assert export["total"] == len(row[0])
    return row[0]


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_chooses_what_the_list_shows(
    varied: tuple[Account, list[dict[str, Any]]], name: str
) -> None:
    account, rows = varied
    value = FILTERS[name]
    value = value(rows) if callable(value) else value
    query = {name: ",".join(value) if isinstance(value, list) else value}
    listed = [row["id"] for row in account.http.get("/v1/documents", params=query).json()["data"]]
    assert listed
    if name != "updated_since":  # Within a second, all are
        assert len(listed) < len(rows)
    assert chosen(account, {name: value, "type": None} if name != "type" else {name: value}) == listed
    assert chosen(account, query) == listed


def test_filters_are_combined_and_an_amount_is_a_number_however_it_is_written(
    varied: tuple[Account, list[dict[str, Any]]],
) -> None:
    account, rows = varied
    both = {"currency": "EUR", "min_total": 300, "max_total": 300.0}
    assert chosen(account, both) == [rows[3]["id"]]
    body = b'{"filter": {"min_total": 3e2, "max_total": 0.4E3}}'
    answer = account.http.post("/v1/exports", content=body, headers={"content-type": "application/json"})
    assert answer.json()["total"] == 2
    account.http.post(f"/v1/exports/{answer.json()['id']}/cancel")


def test_every_fault_of_a_filter_is_named(account: Account) -> None:
    broken = {
        "type": "memo", "status": 7, "ids": ["x"], "external_id": "", "client_id": ["cl"], "number": 42,
        "currency": "eur", "issued_from": "2026-02-30", "issued_to": 20260101, "due_from": "2026-03-02",
        "due_to": "2026-03-01", "min_total": True, "max_total": -1, "updated_since": "today", "q": "?",
        "client": "cl",
    }  # fmt: skip
    details = refused(account.http.post("/v1/exports", json={"filter": broken}), 422, "validation_error")
    assert set(details) == {f"filter.{name}" for name in broken} - {"filter.due_from"}
    assert details["filter.due_to"] == "Must not be below due_from"
    assert details["filter.client"] == "Unknown field"
    for value in ("1e400", "1e-400", "1e31", "1" * 5_000, "{}", "[1]"):
        body = f'{{"filter": {{"min_total": {value}}}}}'.encode()
        answer = account.http.post("/v1/exports", content=body, headers={"content-type": "application/json"})
        assert set(refused(answer, 422, "validation_error")) == {"filter.min_total"}
    many = {"ids": [new_id("doc")] * 101}
    details = refused(account.http.post("/v1/exports", json={"filter": many}), 422, "validation_error")
    assert set(details) == {"filter.ids"}
