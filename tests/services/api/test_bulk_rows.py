"""What a bulk writes: documents and rows that are what each would be by itself, whatever they hold."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx2
import pytest
from account import Account, refused
from bodies import document, line
from bulked import made, post, used

VARYING = ("id", "number", "created_at", "updated_at")
ORDINARY: tuple[dict[str, Any], ...] = (
    {}, {"status": "sent"}, {"type": "quote", "status": "sent"}, {"type": "receipt", "due_date": None},
    {"currency": "JPY", "items": [line(quantity="2.5", rate="33.333")]}, {"tax_rate": 19.25, "notes": "Grüße 🧾"},
    {"status": "sent", "issued_date": "2020-01-01", "due_date": "2020-01-31"},
    {"items": [line(rate=10**11), line(rate=-5, description="Discount")] * 3, "template": "modern", "locale": "de"},
    {"notes": '"client":null,"status":"sent"', "status": "draft", "page_size": "letter"},
    {"notes": "C:\\new\ttab\nline\r\nend\\", "metadata": {"\\t": "\t"}},
    {"items": [line(title="\\N", description="\\.\n")]},
    {"notes": "\\.", "status": "sent"},
)  # fmt: skip


def plain(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in VARYING}


def test_each_document_is_what_it_would_be_by_itself(account: Account) -> None:
    bodies = [document(account.client_id, **fields) for fields in ORDINARY]
    found = made(post(account, *bodies))
    alone = [account.http.post("/v1/documents", json=body).json() for body in bodies]
    assert [plain(each) for each in found] == [plain(each) for each in alone]
    assert [account.get(each["id"]) for each in found] == found
    assert used(account) == 2 * len(ORDINARY)


def test_each_row_is_what_it_would_be_by_itself(account: Account) -> None:
    bodies = [document(account.client_id, **fields) for fields in ORDINARY]
    made(post(account, *bodies))
    for body in bodies:
        account.http.post("/v1/documents", json=body)
    rows = [str(row[0]) for row in account.sql(ROWS, account.id)]
    assert rows[: len(bodies)] == rows[len(bodies) :]


# All that may be the same; PUT, the PDF and the exports read these and not the answer.
ROWS = """
select (d.type, d.status, d.client_id, d.client, d.seller, d.currency, d.issued_date, d.due_date, d.items, d.subtotal,
    d.tax_rate, d.tax_amount, d.total, d.notes, d.template, d.locale, d.page_size, d.external_id, d.metadata,
    d.content_updated_at, d.created_at = d.updated_at, left(d.number, 9))::text
from api.documents d where d.account_id = $1 order by d.id
"""


def test_what_stands_in_the_database_in_another_form_is_written_as_it_stands(account: Account) -> None:
    profile = '{\n\t"name":\r\n"Back\\\\slash & \\u00fc"\n}'
    account.sql("update api.clients set profile = $2 where id = $1", account.client_id, profile)
    account.sql("update api.accounts set profile = $2 where id = $1", account.id, profile)
    found = made(post(account, document(account.client_id), document(account.client_id, status="sent")))
    assert [each["client"] for each in found] == [{"name": "Back\\slash & ü"}] * 2
    rows = account.sql(
        "select client, seller from api.documents where account_id = $1 order by id", account.id
    )
    assert [tuple(row) for row in rows] == [(profile, None), (profile, profile)]
    assert [account.get(each["id"]) for each in found] == found


COPYING = """
select pid from pg_stat_activity where datname = current_database() and query ilike 'copy%' and wait_event_type = 'Lock'
"""
LOOKS_MAX, LOOK_S = 500, 0.02
ENDS: Mapping[str, str] = {
    "its connection is lost": "select pg_terminate_backend($1)",
    "it takes too long": "select pg_cancel_backend($1)",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_copy_that_ends_in_its_midst_leaves_nothing_and_harms_no_other(account: Account, end: str) -> None:
    bodies = [document(account.client_id, notes="x" * 3_000)] * 300
    refused(asyncio.run(_ended_copy(account, bodies, ENDS[end])), 503, "unavailable")
    assert account.http.get("/v1/documents").json()["data"] == []
    assert len(made(post(account, *bodies))) == len(bodies)
    assert account.http.get("/v1/documents").json()["pagination"]["total"] == len(bodies)


async def _ended_copy(account: Account, bodies: list[dict[str, Any]], end: str) -> httpx2.Response:
    """What is answered to a bulk whose rows wait for the table when ``end`` happens to them."""
    holder, looking = [await asyncpg.connect(account.product.urls.database) for _ in range(2)]
    try:
        async with holder.transaction():
            await holder.execute("lock table api.documents in share mode")
            posting = asyncio.create_task(asyncio.to_thread(post, account, *bodies))
            process = None
            for _ in range(LOOKS_MAX):
                if process := await looking.fetchval(COPYING):
                    break
                await asyncio.sleep(LOOK_S)
            await looking.fetchval(end, process)
            return await posting
    finally:
        await holder.close()
        await looking.close()
