"""Lists: by page and by cursor, every filter combined, their parameters held to their bounds."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product as combinations
from typing import Any

import pytest
from account import Account, refused
from product import Product

from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.routes.lists import list_body, page_body, read_window
from services.api.store.orders import ORDERS, Position, Value
from shared.errors import Problem

TYPES = ("invoice", "quote")


@pytest.fixture(scope="module")
def stocked(product: Product) -> Iterator[Account]:
    """An account with three documents of each of two types in every status."""
    with Account(product) as account:
        for _, kind, status in combinations(range(3), TYPES, STATUSES):
            row = account.in_status(status)
            if kind != "invoice":
                account.sql("update api.documents set type = $2 where id = $1", row["id"], kind)
        yield account


def listed(account: Account, path: str = "/v1/documents", **query: Any) -> dict[str, Any]:
    answer = account.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def walked(account: Account, path: str = "/v1/documents", **query: Any) -> list[dict[str, Any]]:
    """All the pages of a cursor's walk."""
    pages = [listed(account, path, **query)]
    while cursor := pages[-1]["pagination"]["next_cursor"]:
        pages.append(listed(account, path, **query, cursor=cursor))
    return pages


def ids(*pages: dict[str, Any]) -> list[str]:
    return [row["id"] for page in pages for row in page["data"]]


def test_a_list_begins_with_page_one_of_twenty_five_newest_first(stocked: Account) -> None:
    answer = listed(stocked)
    assert list(answer) == ["data", "pagination"]
    assert len(answer["data"]) == 25
    assert ids(answer) == sorted(ids(answer), reverse=True)
    cursor = answer["pagination"].pop("next_cursor")
    assert answer["pagination"] == {"page": 1, "per_page": 25, "total": 30, "total_pages": 2}
    assert ids(listed(stocked, cursor=cursor)) == ids(listed(stocked, page=2))


def test_a_row_is_the_document_as_it_is_read_alone(stocked: Account) -> None:
    for row in listed(stocked, per_page=5)["data"]:
        assert row == stocked.get(row["id"])


@pytest.mark.parametrize("status", [None, *STATUSES])
@pytest.mark.parametrize("kind", [None, *KINDS])
@pytest.mark.parametrize("per_page", [1, 2, 3, 100])
def test_filters_pages_and_cursors_tell_the_same(
    stocked: Account, kind: str | None, status: str | None, per_page: int
) -> None:
    query = {name: value for name, value in (("type", kind), ("status", status)) if value}
    expected = [
        row["id"]
        for row in listed(stocked, per_page=100)["data"]
        if kind in {None, row["type"]} and status in {None, row["status"]}
    ]
    per_page = max(per_page, len(expected) // 4)  # a walk of some pages, not of thirty
    pages = walked(stocked, **query, per_page=per_page)
    assert ids(*pages) == expected
    assert {page["pagination"]["total"] for page in pages} == {len(expected)}
    assert {page["pagination"]["total_pages"] for page in pages} == {-(-len(expected) // per_page)}
    by_number = [listed(stocked, **query, per_page=per_page, page=number + 1) for number in range(len(pages))]
    assert ids(*by_number) == expected


def test_every_status_has_the_documents_that_are_in_it_today(stocked: Account) -> None:
    for status in STATUSES:
        rows = listed(stocked, status=status)["data"]
        assert [row["status"] for row in rows] == [status] * 6


def test_a_sent_document_moves_to_overdue_with_no_job(account: Account) -> None:
    sent = account.document(status="sent")
    assert ids(listed(account, status="sent")) == [sent["id"]]
    account.sql("update api.documents set due_date = '2020-01-01' where id = $1", sent["id"])
    assert ids(listed(account, status="sent")) == []
    assert listed(account, status="overdue")["data"][0]["status"] == "overdue"


def test_what_has_lapsed_is_marked_and_its_lists_stay_as_they_are(account: Account) -> None:
    """Of two that were due long ago, one is not marked yet; the one of yesterday is not to be."""
    today = datetime.now(UTC).date()
    for days in (400, 40, 1, 30):
        row = account.in_status("overdue")
        due = today - timedelta(days=days)
        account.sql("update api.documents set due_date = $2 where id = $1", row["id"], due)
    account.in_status("sent")
    queries = [{"status": status, "sort": sort} for status in ("sent", "overdue") for sort in ORDERS]
    account.sql("update api.documents set lapsed = false where account_id = $1", account.id)
    before = [ids(listed(account, **query)) for query in queries]
    assert sorted(map(len, before)) == [1] * 12 + [4] * 12
    account.sql("update api.documents set lapsed = due_date < $2 where account_id = $1", account.id, today)
    assert [ids(listed(account, **query)) for query in queries] == before
    account.sql(
        "update api.documents set lapsed = due_date < $2 where account_id = $1",
        account.id,
        today - timedelta(35),
    )
    assert [ids(listed(account, **query)) for query in queries] == before
    for query, found in zip(queries, before, strict=True):
        assert ids(*walked(account, **query, per_page=1)) == found


def test_a_lapsed_document_that_is_paid_is_paid(account: Account) -> None:
    row = account.in_status("overdue")
    account.sql("update api.documents set lapsed = true where id = $1", row["id"])
    assert ids(listed(account, status="overdue")) == [row["id"]]
    account.move(row["id"], "pay")
    assert ids(listed(account, status="overdue")) == []
    assert (
        ids(listed(account, status="paid"))
        == ids(listed(account, type="invoice", status="paid"))
        == [row["id"]]
    )


def test_numbers_are_ordered_as_they_count_and_by_what_stands_before(account: Account) -> None:
    """A type and a year together, and the millionth behind the one before it."""
    today = datetime.now(UTC).date()
    numbers = [account.in_status("sent")["number"]]
    account.sql("update api.number_sequences set last = 999998 where account_id = $1", account.id)
    numbers += [account.in_status("sent")["number"] for _ in range(3)]
    numbers.append(account.document(status="sent", issued_date=f"{today.year + 1}-01-01")["number"])
    assert len({len(number) for number in numbers}) == 2
    assert [row["number"] for row in listed(account, sort="number")["data"]] == numbers
    assert [row["number"] for row in listed(account, sort="-number")["data"]] == numbers[::-1]
    assert [
        row["number"] for page in walked(account, sort="number", per_page=2) for row in page["data"]
    ] == numbers


@pytest.mark.parametrize(
    ("path", "query"),
    [("/v1/documents", {}), ("/v1/documents", {"type": "invoice", "status": "draft"}), ("/v1/clients", {})],
    ids=str,
)
def test_a_walk_sees_each_row_once_while_rows_come_and_go(
    account: Account, path: str, query: dict[str, str]
) -> None:
    make = account.document if path == "/v1/documents" else account.client
    before = [make()["id"] for _ in range(7)][::-1]
    seen, page = list[str](), listed(account, path, **query, per_page=2)
    while True:
        seen += ids(page)
        make()
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            break
        account.http.delete(f"{path}/{seen[-1]}")  # the very row that the cursor stands on
        page = listed(account, path, **query, per_page=2, cursor=cursor)
    assert seen == before


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/clients"])
def test_an_empty_list_and_a_page_past_the_end_are_empty(account: Account, path: str) -> None:
    nothing = {"page": 1, "per_page": 25, "total": 0, "total_pages": 0, "next_cursor": None}
    assert listed(account, path) == {"data": [], "pagination": nothing}
    account.document()
    for page in (2, 1_000_000, 10**15 - 1):
        past = listed(account, path, page=page, per_page=100)
        assert (past["data"], past["pagination"]["total"], past["pagination"]["next_cursor"]) == ([], 1, None)


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/clients"])
@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=1.5", "page=", "page=one", "page=1e3", "page=%2B1", "page=%D9%A1", "page=+1",
        "page=" + "9" * 100, "per_page=0", "per_page=101", "per_page=-5", "per_page=", "per_page=all",
        "page=1&page=2", "per_page=5&per_page=5", "limit=5", "Page=1", "page=1&page=1", "%FF=1", "page=%FF", "a=%00",
        "cursor=", "cursor=x", "cursor=%F0%9F%A7%BE", "cursor=" + "A" * 1000, "cursor=ZG9jXzEyMw", "page=1&cursor=x",
        "&".join(f"p{n}={n}" for n in range(200)),
    ],
)  # fmt: skip
def test_a_malformed_parameter_is_400(house: Account, path: str, query: str) -> None:
    refused(house.http.get(f"{path}?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize(
    "query",
    [
        "type=foo",
        "type=",
        "type=Invoice",
        "status=foo",
        "status=",
        "status=sent,paid",
        "type=quote&type=quote",
    ],
)
def test_a_filter_of_unknown_value_is_400_and_names_the_parameter(house: Account, query: str) -> None:
    details = refused(house.http.get(f"/v1/documents?{query}"), 400, "invalid_parameter")
    assert list(details) == [query.partition("=")[0]]


def test_clients_have_no_filters(house: Account) -> None:
    refused(house.http.get("/v1/clients?type=invoice"), 400, "invalid_parameter")


def test_page_and_cursor_together_are_400(stocked: Account) -> None:
    cursor = listed(stocked, per_page=1)["pagination"]["next_cursor"]
    for query in ({"page": 1, "cursor": cursor}, {"page": 2, "cursor": cursor, "per_page": 5}):
        refused(stocked.http.get("/v1/documents", params=query), 400, "invalid_parameter")


def test_a_cursor_of_documents_is_none_of_clients(stocked: Account) -> None:
    cursor = listed(stocked, per_page=1)["pagination"]["next_cursor"]
    refused(stocked.http.get("/v1/clients", params={"cursor": cursor}), 400, "invalid_parameter")


def test_a_neighbours_cursor_shows_nothing_of_the_neighbour(stocked: Account, account: Account) -> None:
    own = account.document()["id"]
    cursor = listed(stocked, per_page=1)["pagination"]["next_cursor"]
    assert set(ids(listed(account, cursor=cursor))) <= {own}


def test_the_cursor_is_what_the_next_page_reads() -> None:
    rows = [f"doc_{number:034x}" for number in (9, 8, 7)]
    body = list_body(read_window({"per_page": "2"}, "doc"), rows, 3, rows)
    pagination = body["pagination"]
    assert isinstance(pagination, dict)
    assert read_window({"cursor": pagination["next_cursor"]}, "doc").below_id == rows[1]


def test_a_total_that_is_not_counted_says_what_is_known_of_it() -> None:
    body = page_body(read_window({}, "doc"), [], None, None, least=10_000)
    assert body["pagination"] == {
        "page": 1,
        "per_page": 25,
        "total": None,
        "total_pages": None,
        "next_cursor": None,
        "total_is_at_least": 10_000,
    }


CURSORS = [
    ("issued_date", date(2026, 3, 1)), ("-due_date", date(2026, 3, 1)), ("due_date", None), ("number", None),
    ("-total", Decimal("0.50")), ("number", "INV-2026-000042"), ("created_at", None), ("-created_at", None),
    ("updated_at", datetime(2026, 3, 1, 9, 30, 0, 1, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize(("sort", "value"), CURSORS, ids=str)
def test_a_cursor_holds_its_place_to_the_last_digit(sort: str, value: Value | None) -> None:
    window = read_window({"per_page": "1"}, "doc", ORDERS[sort])
    place = Position(value, f"doc_{2:034x}")
    pagination = page_body(window, [], 2, place)["pagination"]
    assert isinstance(pagination, dict)
    assert read_window({"cursor": pagination["next_cursor"]}, "doc", ORDERS[sort]).after == place


@pytest.mark.parametrize(
    ("sort", "text"),
    [
        ("total", "total {}"), ("total", "total {} NaN"), ("total", "total {} 1e9"), ("total", "total {} "),
        ("issued_date", "issued_date {}"), ("issued_date", "issued_date {} 2026-02-30"), ("total", "total doc_1 5"),
        ("updated_at", "updated_at {} 2026-03-01"), ("updated_at", "updated_at {} 0001-01-01T00:00:00+14:00"),
        ("number", "number {} \x00"), ("created_at", "created_at {} 5"), ("number", "number"), ("total", "  "),
    ],
)  # fmt: skip
def test_a_cursor_of_a_made_up_place_is_told(sort: str, text: str) -> None:
    cursor = urlsafe_b64encode(text.format("doc_" + "0" * 34).encode()).decode()
    with pytest.raises(Problem) as raised:
        read_window({"cursor": cursor}, "doc", ORDERS[sort])
    assert raised.value.details == {"cursor": "Must be a next_cursor from an earlier answer"}


@pytest.mark.parametrize("cursor", ["", "=", "====", "é", "\ud800", "ZG9jXzEyMw==", "A", "AAAAA"])
def test_a_cursor_that_was_never_given_out_is_told(cursor: str) -> None:
    with pytest.raises(Problem) as raised:
        read_window({"cursor": cursor}, "doc")
    assert raised.value.code == "invalid_parameter"
