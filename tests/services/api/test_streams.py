"""Whole lists as NDJSON and CSV: what they say, and what becomes of them when they are not read to their end."""

import csv
import io
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product as combinations
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from account import Account, refused
from gateways import Gateways
from product import Product
from streamed import Reader, copied

from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.routes.tables import CLIENT_COLUMNS, DOCUMENT_COLUMNS
from services.api.settings import Settings

NDJSON, CSV = "/v1/documents/export.ndjson", "/v1/documents/export.csv"
PATHS = (NDJSON, CSV, "/v1/clients/export.ndjson", "/v1/clients/export.csv")
# Some of it is certainly unsent while nobody reads: all kernels' buffers, and what a gateway reads ahead, are less.
MANY = 10_500
NOTES = "Twelve hundred bytes. " * 40
PATIENCE_S = 20
DEFAULTS = Settings(database_url="", object_store_url="", service_token="")
STREAMS_MAX, PER_ACCOUNT_MAX = DEFAULTS.streams_max, DEFAULTS.streams_per_account_max


@pytest.fixture(scope="module")
def stocked(product: Product) -> Iterator[Account]:
    """An account with a document of each of two types in every status."""
    with Account(product) as account:
        for kind, status in combinations(("invoice", "quote"), STATUSES):
            row = account.in_status(status)
            if kind != "invoice":
                account.sql("update api.documents set type = $2 where id = $1", row["id"], kind)
        yield account


@pytest.fixture(scope="module")
def large(product: Product) -> Iterator[Account]:
    """An account whose stream no reader gets whole without reading."""
    with Account(product) as account:
        copied(account, account.document(notes=NOTES)["id"], MANY)
        yield account


def lines(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [msgspec.json.decode(line) for line in answer.content.split(b"\n")[:-1]]


def table(answer: httpx2.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def listed(account: Account, **query: Any) -> list[dict[str, Any]]:
    return account.http.get("/v1/documents", params={"per_page": 100, **query}).json()["data"]


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_line_is_the_document_exactly_as_it_is_read_alone(stocked: Account) -> None:
    answer = stocked.http.get(NDJSON)
    assert answer.content.endswith(b"}\n")
    for line, row in zip(answer.content.splitlines(), listed(stocked), strict=True):
        assert line == stocked.http.get(f"/v1/documents/{row['id']}").content


def test_a_row_has_the_documents_values_and_its_clients_name(stocked: Account) -> None:
    answer = stocked.http.get(CSV)
    assert answer.content.count(b"\r\n") == answer.content.count(b"\n") == 1 + len(listed(stocked))
    assert answer.content.startswith(",".join(DOCUMENT_COLUMNS).encode() + b"\r\n")
    decode = msgspec.json.Decoder(float_hook=str).decode
    for row, line in zip(table(answer), stocked.http.get(NDJSON).content.splitlines(), strict=True):
        document = decode(line)
        document["client_name"] = document["client"]["name"]
        assert row == {name: str(document[name] or "") for name in DOCUMENT_COLUMNS} | {
            "tax_rate": str(document["tax_rate"]),
            "tax_amount": str(document["tax_amount"]),
        }


def test_every_scalar_field_is_a_column(stocked: Account) -> None:
    scalar = {name for name, value in listed(stocked)[0].items() if not isinstance(value, (dict, list))}
    assert set(DOCUMENT_COLUMNS) == scalar | {"client_name"}
    (client,) = stocked.http.get("/v1/clients").json()["data"]
    assert set(CLIENT_COLUMNS) == {name for name, value in client.items() if not isinstance(value, dict)}


@pytest.mark.parametrize("status", [None, *STATUSES])
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_a_filter_shows_what_the_list_shows(stocked: Account, kind: str | None, status: str | None) -> None:
    query = {name: value for name, value in (("type", kind), ("status", status)) if value}
    expected = ids(listed(stocked, **query))
    assert ids(lines(stocked.http.get(NDJSON, params=query))) == expected
    assert ids(table(stocked.http.get(CSV, params=query))) == expected


@pytest.mark.parametrize(
    "query",
    [{"sort": "total"}, {"sort": "-number", "currency": "USD"}, {"q": "acme", "sort": "updated_at"}],
    ids=str,
)
def test_an_order_is_that_of_the_list(stocked: Account, query: dict[str, str]) -> None:
    assert ids(table(stocked.http.get(CSV, params=query))) == ids(listed(stocked, **query))


def test_a_draft_shows_its_client_of_today_and_what_is_late_is_overdue(account: Account) -> None:
    draft, sent = account.document(), account.document(status="sent")
    account.http.put(f"/v1/clients/{account.client_id}", json={"name": "Renamed"})
    account.sql("update api.documents set due_date = '2020-01-01', body = $2 where id = $1", sent["id"],
                stored_body(account, sent["id"]).replace('"due_date":null', '"due_date":"2020-01-01"'))  # fmt: skip
    rows = {row["id"]: row for row in table(account.http.get(CSV))}
    assert (rows[draft["id"]]["client_name"], rows[draft["id"]]["status"]) == ("Renamed", "draft")
    assert (rows[sent["id"]]["client_name"], rows[sent["id"]]["status"]) == ("Acme Corp", "overdue")
    assert lines(account.http.get(NDJSON)) == [account.get(sent["id"]), account.get(draft["id"])]


def stored_body(account: Account, document_id: str) -> str:
    ((body,),) = account.sql("select body from api.documents where id = $1", document_id)
    return body


def test_a_document_without_a_stored_body_is_made_of_its_columns(account: Account) -> None:
    documents = [account.document(), account.document(status="sent"), account.document()]
    account.sql("update api.documents set body = null where account_id = $1", account.id)
    assert lines(account.http.get(NDJSON)) == documents[::-1]


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("https://evil.example";"x")', "+1 415 555 0100", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
        "\uff1d1", "\uff0b1", "\uff0d1", "\uff201",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(account: Account, text: str) -> None:
    kept = account.document(notes=text)["notes"]
    assert [row["notes"] for row in table(account.http.get(CSV))] == [f"'{kept}"]
    assert [line["notes"] for line in lines(account.http.get(NDJSON))] == [kept]


@pytest.mark.parametrize(
    "text",
    [
        'a "quoted" word', "a,b;c", "two\nlines", "two\r\nlines", "🧾 naïve 漢字 \u2028", "'", "  =1", '"=1', "1=1", "",
    ],
)  # fmt: skip
def test_any_other_text_comes_back_whole(account: Account, text: str) -> None:
    kept = account.document(notes=text)["notes"]
    assert [row["notes"] for row in table(account.http.get(CSV))] == [kept]
    assert [line["notes"] for line in lines(account.http.get(NDJSON))] == [kept]


def test_clients_are_streamed_as_they_are_listed(account: Account) -> None:
    made = [account.client(name=name) for name in ("First", "=cmd|' /C calc'!A0", "Third, Inc.")][::-1]
    assert lines(account.http.get(PATHS[2])) == made
    rows = table(account.http.get(PATHS[3]))
    assert list(rows[0]) == list(CLIENT_COLUMNS)
    assert [row["name"] for row in rows] == ["Third, Inc.", "'=cmd|' /C calc'!A0", "First"]
    assert [row["email"] for row in rows] == [client["email"] for client in made]


def test_of_nothing_there_is_no_line_and_only_the_header(account: Account) -> None:
    answers = [account.http.get(path) for path in PATHS]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.text for answer in answers] == [
        "", ",".join(DOCUMENT_COLUMNS) + "\r\n", "", ",".join(CLIENT_COLUMNS) + "\r\n",
    ]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers_say_what_it_is_and_not_how_long(stocked: Account, path: str, method: str) -> None:
    answer = stocked.http.request(method, path)
    kinds = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present"}
    name, _, suffix = path.removeprefix("/v1/").partition("/export.")
    day = answer.headers["content-disposition"].removeprefix(f'attachment; filename="{name}-')[:10]
    assert answer.headers["content-type"] == kinds[suffix]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}-{day}.{suffix}"'
    assert "content-length" not in answer.headers
    assert bool(answer.content) == (method == "GET")
    assert answer.headers["x-request-id"]
    assert answer.headers["ratelimit"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["page=1", "per_page=10", "cursor=x", "limit=5", "format=csv"])
def test_a_parameter_that_is_no_filter_is_400(house: Account, path: str, query: str) -> None:
    refused(house.http.get(f"{path}?{query}"), 400, "invalid_parameter")


def test_a_filter_of_unknown_value_is_400_before_anything_is_sent(house: Account) -> None:
    assert list(refused(house.http.get(f"{CSV}?status=late"), 400, "invalid_parameter")) == ["status"]


def test_a_stream_is_one_call_and_no_document(stocked: Account) -> None:
    before = stocked.usage()
    stocked.http.get(CSV)
    after = stocked.usage()
    assert after["api_calls"]["used"] == before["api_calls"]["used"] + 2
    assert after["documents"] == before["documents"]


def test_a_long_stream_has_every_document_once_and_in_order(large: Account) -> None:
    expected = [row[0] for row in large.sql(
        "select id from api.documents where account_id = $1 order by id desc", large.id)]  # fmt: skip
    assert len(expected) == MANY + 1
    assert ids(lines(large.http.get(NDJSON))) == expected
    assert ids(table(large.http.get(CSV))) == expected


def test_documents_of_a_megabyte_each_come_one_by_one(account: Account) -> None:
    wide = [{"title": "T" * 200, "description": "D" * 1800, "quantity": 1, "rate": 1}] * 400
    made = [account.document(items=wide)["id"] for _ in range(4)] + [account.document()["id"]]
    answer = account.http.get(NDJSON)
    assert len(answer.content) > 3 * 1024 * 1024
    assert ids(lines(answer)) == made[::-1]


def test_what_is_deleted_before_its_turn_is_left_out_and_nothing_else(large: Account) -> None:
    before = ids(lines(large.http.get(NDJSON)))
    gone = set(before[-500::7])
    with Reader(large, NDJSON) as reader:
        begun = reader.begun()
        large.sql("delete from api.documents where id = any($1)", list(gone))
        large.document()
        found = begun + reader.rest()
    assert found.endswith(b"0\r\n\r\n")
    seen = re.findall(rb'"id":"(doc_\w+)"', re.sub(rb"\r\n[0-9a-f]+\r\n", b"", found))
    assert [each.decode() for each in seen] == [each for each in before if each not in gone]


def test_a_reader_that_stands_still_holds_no_connection_and_one_that_leaves_no_place(large: Account) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(large, NDJSON)) for _ in range(PER_ACCOUNT_MAX)]
        for reader in readers:
            assert b"200 OK" in reader.begun()
        eventually(lambda: busy(large) == 0)
        answer = large.http.get(CSV)
        assert refused(answer, 429, "rate_limited") == {"streams": f"At most {PER_ACCOUNT_MAX} at a time"}
        assert int(answer.headers["retry-after"]) > 0
        assert large.http.head(CSV).status_code == 429
        assert large.http.get("/v1/documents").status_code == 200
    eventually(lambda: large.http.head(CSV).status_code == 200)
    assert busy(large) == 0


def busy(account: Account) -> int:
    """How many connections of the product are at work or in a transaction."""
    ((count,),) = account.sql(
        """
        select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and state <> 'idle' and query like '%api.documents%'
        """
    )
    return count


def test_a_gateway_has_only_so_many_streams_and_says_when_to_come_again(
    product: Product, account: Account, large: Account
) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(Account(product)) for _ in range(STREAMS_MAX)]
        for open_before, other in enumerate(others):
            copied(other, other.document(notes=NOTES)["id"], MANY)
            stack.enter_context(Reader(other, NDJSON)).begun()
            second = other.http.head(CSV).status_code
            assert second == (200 if open_before + 1 < STREAMS_MAX // 2 else 503)
        for stranger in (account, large):
            answer = stranger.http.get(CSV)
            refused(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert stranger.http.get("/v1/documents").status_code == 200
    eventually(lambda: account.http.head(CSV).status_code == 200)


@pytest.fixture
def gateway(product: Product, tmp_path: Path) -> Iterator[Gateways]:
    with Gateways(product, tmp_path) as gateways:
        yield gateways


@contextmanager
def broken(account: Account) -> Generator[None]:
    """No document's body can be read meanwhile."""
    account.sql("alter table api.documents rename column body to missing")
    try:
        yield
    finally:
        account.sql("alter table api.documents rename column missing to body")


@pytest.mark.parametrize("path", [NDJSON, CSV])
def test_what_fails_midway_does_not_look_whole_and_is_logged(
    large: Account, gateway: Gateways, path: str
) -> None:
    with Reader(large, path, gateway=gateway.on("one", {})) as reader:
        begun = reader.begun()
        with broken(large):
            rest = reader.rest()
    assert b"200 OK" in begun
    assert not rest.endswith(b"0\r\n\r\n")
    eventually(lambda: "answer_broken_off" in gateway.log("one"))
    assert path in gateway.log("one")


def test_what_fails_midway_is_reset_where_the_end_of_the_connection_would_be_the_answers(
    large: Account,
) -> None:
    with Reader(large, NDJSON, version="1.0") as reader:
        assert b"transfer-encoding" not in reader.begun()
        with broken(large), pytest.raises(ConnectionResetError):
            reader.rest()


def test_what_fails_at_once_is_told(large: Account) -> None:
    with broken(large):
        refused(large.http.get(NDJSON), 503, "unavailable")
    assert large.http.head(NDJSON).status_code == 200
