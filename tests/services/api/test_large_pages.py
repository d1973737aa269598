"""Pages of large documents: the same as any other page, and no reader keeps more of one than a slice."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from account import Account, refused
from product import Product, free_port, running, wait_until_ready
from streamed import Reader, copied

LIST = "/v1/documents"
# A body of 0.8 MB, and one of 20 kB.
WIDE = [{"title": "T" * 200, "description": "D" * 1800, "quantity": 1, "rate": 1}] * 380
BROAD = WIDE[:10]
COPIES = 40
READERS = 8
MEMORY_BYTES_MAX = 100 * 1024 * 1024


@pytest.fixture(scope="module")
def mixed(product: Product) -> Iterator[Account]:
    """Documents of three sizes in turn, drafts and sent ones, some without a stored body and one deleted client's."""
    with Account(product) as account:
        for items in (WIDE, BROAD, BROAD[:1], WIDE, BROAD, BROAD[:1]):
            account.document(items=items)
            account.document(items=items, status="sent", issued_date="2020-01-01", due_date="2020-01-31")
        account.document(items=WIDE)
        account.sql(
            """
            update api.documents set body = null where id in (
                select id from api.documents where account_id = $1 order by id desc limit 5)
            """,
            account.id,
        )
        yield account


def alone(account: Account, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [account.get(row["id"]) for row in rows]


@pytest.mark.parametrize(
    "query", ["", "?sort=total", "?status=overdue", "?client_id={client}", "?sort=-issued_date"]
)
def test_each_document_is_as_it_is_read_alone(mixed: Account, query: str) -> None:
    answer = mixed.http.get(LIST + query.format(client=mixed.client_id)).json()
    expected = 6 if "overdue" in query else 13
    assert len(answer["data"]) == answer["pagination"]["total"] == expected
    assert answer["pagination"]["next_cursor"] is None
    assert answer["data"] == alone(mixed, answer["data"])


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_cursor_walks_on_behind_a_large_page(mixed: Account, coding: str) -> None:
    whole = [row["id"] for row in mixed.http.get(LIST).json()["data"]]
    found, cursor = list[str](), ""
    while cursor is not None:
        query = {"per_page": 5, **({"cursor": cursor} if cursor else {})}
        answer = mixed.http.get(LIST, params=query, headers={"accept-encoding": coding})
        assert answer.headers.get("content-encoding", "identity") == coding
        page = answer.json()
        assert page["pagination"]["total"] == 13
        found += [row["id"] for row in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert found == whole


def test_head_and_refusals_are_those_of_any_page(mixed: Account) -> None:
    head = mixed.http.head(LIST)
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/json")
    refused(mixed.http.get(f"{LIST}?per_page=101"), 400, "invalid_parameter")


def test_what_is_deleted_while_a_page_is_sent_is_left_out(account: Account) -> None:
    copied(account, account.document(items=WIDE)["id"], COPIES)
    last = account.http.get(f"{LIST}?per_page=100&page=1").json()["data"][-1]["id"]
    with Reader(account, f"{LIST}?per_page=100") as reader:
        begun = reader.begun()
        account.sql("delete from api.documents where id = $1", last)
        body = begun + reader.rest()
    found = re.findall(rb'"id":"(doc_\w+)"', body)
    assert len(found) == COPIES
    assert last.encode() not in found
    assert b'"total":%d' % (COPIES + 1) in body


def test_slow_readers_keep_little_of_a_page_of_megabytes(
    product: Product, account: Account, tmp_path: Path
) -> None:
    copied(account, account.document(items=WIDE)["id"], COPIES)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        running("api", {**product.environment(), "PORT": str(port)}, tmp_path) as process,
        ExitStack() as stack,
    ):
        wait_until_ready(f"{url}/health/live", tmp_path)
        before = resident_bytes(process.pid)
        for _ in range(READERS):
            reader = stack.enter_context(Reader(account, f"{LIST}?per_page=100", gateway=url))
            assert b"200 OK" in reader.begun()
        grown = at_rest_bytes(process.pid) - before
        assert grown < MEMORY_BYTES_MAX


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def at_rest_bytes(pid: int) -> int:
    """Its most memory, once it does nothing more."""
    most, last = 0, -1
    while last != (last := cpu_ticks(pid)):
        most = max(most, resident_bytes(pid))
        time.sleep(0.3)
    return most


def cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
