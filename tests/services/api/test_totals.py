"""Totals that are counted as documents are written: exact in every filter, under load, folded or not."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from account import Account
from bodies import document

from services.api.domain.kinds import KINDS
from services.api.domain.lifecycle import STATUSES
from services.api.folding import fold
from shared.postgres import open_pool

FILTERS: list[dict[str, str]] = [
    {name: value for name, value in (("type", kind), ("status", status)) if value}
    for kind, status in product((None, *KINDS), (None, *STATUSES))
]


def totals(account: Account) -> list[int]:
    return [total(account, kept) for kept in FILTERS]


def total(account: Account, kept: dict[str, str]) -> int:
    return account.http.get("/v1/documents", params=kept | {"per_page": "1"}).json()["pagination"]["total"]


def counted(account: Account) -> list[int]:
    """The same by looking at each document."""
    rows: list[dict[str, Any]] = account.http.get("/v1/documents", params={"per_page": "100"}).json()["data"]
    return [sum(kept.items() <= row.items() for row in rows) for kept in FILTERS]


def stock(account: Account) -> list[str]:
    ids = [account.in_status(status)["id"] for status in STATUSES for _ in range(2)]
    client_id = account.client()["id"]
    ids += [
        account.http.post(
            "/v1/documents", json=document(client_id) | {"type": kind, "status": status}
        ).json()["id"]
        for kind, status in product(KINDS, ("draft", "sent"))
    ]
    return ids


def folded(account: Account, times: int) -> None:
    asyncio.run(_folded(account.product.urls.database, times))


async def _folded(database_url: str, times: int) -> None:
    pool = await open_pool(database_url, size_max=1, statement_timeout_s=5)
    async with pool:
        for _ in range(times):
            await fold(pool)


def test_totals_are_what_the_documents_say_in_every_filter(account: Account) -> None:
    ids = stock(account)
    assert totals(account) == counted(account)
    for document_id in ids[::3]:
        assert account.http.delete(f"/v1/documents/{document_id}").status_code == 200
    assert totals(account) == counted(account)


def test_folding_changes_rows_and_no_total(account: Account) -> None:
    stock(account)
    before = totals(account)
    folded(account, times=3)
    rows = account.sql(
        "select (select count(*) from api.document_counts where account_id = $1 and backend <> 0),"
        " (select count(*) from api.due_counts where account_id = $1 and backend <> 0)",
        account.id,
    )
    assert tuple(rows[0]) == (0, 0)
    assert totals(account) == before


def test_what_fell_due_long_ago_is_folded_into_one_row_and_can_still_be_changed(
    account: Account,
) -> None:
    late = [account.in_status("overdue")["id"] for _ in range(3)]
    for days, document_id in enumerate(late, start=10):
        due = datetime.now(UTC).date() - timedelta(days=days)
        account.sql("update api.documents set due_date = $2 where id = $1", document_id, due)
    folded(account, times=3)
    rows = account.sql(
        "select due_date::text, amount from api.due_counts where account_id = $1 and amount <> 0", account.id
    )
    assert [tuple(row) for row in rows] == [("-infinity", 3)]
    assert account.http.post(f"/v1/documents/{late[0]}/pay").status_code == 200
    assert total(account, {"status": "overdue"}) == 2
    assert totals(account) == counted(account)


def test_folding_marks_what_was_due_before_all_time_zones_and_nothing_else(account: Account) -> None:
    rows = [account.in_status(status) for status in ("overdue", "overdue", "sent", "paid")]
    for row, days in zip(rows, (10, 1, -5, 10), strict=True):
        due = datetime.now(UTC).date() - timedelta(days=days)
        account.sql("update api.documents set due_date = $2, lapsed = false where id = $1", row["id"], due)
    folded(account, times=3)
    lapsed = account.sql("select id from api.documents where account_id = $1 and lapsed", account.id)
    assert [row[0] for row in lapsed] == [rows[0]["id"]]


def test_creates_beside_each_other_and_beside_folding_are_all_counted(account: Account) -> None:
    body = document(account.client_id)

    def create(_: int) -> int:
        return account.http.post("/v1/documents", json=body).status_code

    with ThreadPoolExecutor(16) as pool:
        folding = pool.submit(folded, account, 30)
        statuses = list(pool.map(create, range(80)))
        folding.result()
    assert set(statuses) == {201}
    assert total(account, {}) == 80


def test_a_change_past_the_gateway_shows_in_the_answer(account: Account) -> None:
    found = account.in_status("sent")
    account.sql("update api.documents set notes = 'by hand' where id = $1", found["id"])
    changed = found | {"notes": "by hand"}
    assert account.http.get(f"/v1/documents/{found['id']}").json() == changed
    assert account.http.get("/v1/documents").json()["data"] == [changed]


def test_words_that_look_like_the_bodys_own_stay_as_they_are(account: Account) -> None:
    words = 'x "status":"sent" "client":null'
    client = account.http.post("/v1/clients", json={"name": words}).json()
    body = document(client["id"]) | {"notes": words}
    draft = account.http.post("/v1/documents", json=body).json()
    assert draft["client"]["name"] == draft["notes"] == words
    assert account.http.get(f"/v1/documents/{draft['id']}").json() == draft
    sent = account.http.put(f"/v1/documents/{draft['id']}", json={"status": "sent"}).json()
    account.sql(
        "update api.documents set due_date = '2020-01-02', issued_date = '2020-01-01' where id = $1",
        sent["id"],
    )
    late = account.http.get(f"/v1/documents/{sent['id']}").json()
    assert (late["status"], late["client"], late["notes"]) == ("overdue", sent["client"], words)
