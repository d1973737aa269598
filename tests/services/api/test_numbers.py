"""Numbers and statuses under concurrency: no gap, no double, and of rivals exactly one wins."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from account import Account
from bodies import document

DAY = {"issued_date": "2026-01-01"}
Ask = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
async def ask(account: Account) -> AsyncIterator[Ask]:
    limits = httpx2.Limits(max_connections=100)
    async with httpx2.AsyncClient(
        base_url=account.product.gateway, headers=account.http.headers, limits=limits, timeout=60
    ) as http:
        yield http.request


async def all_of(*asked: Awaitable[httpx2.Response]) -> list[httpx2.Response]:
    return list(await asyncio.gather(*asked))


async def created(ask: Ask, count: int, **fields: Any) -> list[str]:
    client = (await ask("POST", "/v1/clients", json={"name": "Acme"})).json()["id"]
    body = document(client, **DAY, **fields)
    answers = await all_of(*(ask("POST", "/v1/documents", json=body) for _ in range(count)))
    return [answer.json()["id"] for answer in answers]


def numbers(answers: list[httpx2.Response]) -> list[str]:
    return sorted(answer.json()["number"] for answer in answers if answer.status_code < 300)


def consecutive(count: int, prefix: str = "INV-2026") -> list[str]:
    return [f"{prefix}-{number:06d}" for number in range(1, count + 1)]


async def test_a_hundred_sent_at_once_have_a_hundred_consecutive_numbers(ask: Ask) -> None:
    drafts = await created(ask, 100)
    answers = await all_of(
        *(ask("PUT", f"/v1/documents/{draft}", json={"status": "sent"}) for draft in drafts)
    )
    assert numbers(answers) == consecutive(100)


async def test_refused_sends_between_them_leave_no_gap(ask: Ask) -> None:
    drafts = await created(ask, 60)
    bad = [{"status": "sent", "client_id": "cl_none"}, {"status": "sent", "notes": 5}, {"status": "overdue"}]
    bodies = [bad[index // 2 % 3] if index % 2 else {"status": "sent"} for index in range(60)]
    answers = await all_of(
        *(ask("PUT", f"/v1/documents/{draft}", json=body) for draft, body in zip(drafts, bodies, strict=True))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 30, 422: 30}
    assert numbers(answers) == consecutive(30)


async def test_creates_and_changes_share_one_sequence_and_each_type_has_its_own(ask: Ask) -> None:
    drafts = await created(ask, 20)
    client = (await ask("POST", "/v1/clients", json={"name": "Acme"})).json()["id"]
    invoices = [ask("PUT", f"/v1/documents/{draft}", json={"status": "paid"}) for draft in drafts]
    invoices += [ask("POST", "/v1/documents", json=document(client, **DAY, status="sent")) for _ in range(20)]
    quotes = [
        ask("POST", "/v1/documents", json=document(client, **DAY, type="quote", status="sent"))
        for _ in range(20)
    ]
    answers = await all_of(*invoices, *quotes)
    assert numbers(answers[:40]) == consecutive(40)
    assert numbers(answers[40:]) == consecutive(20, "QUO-2026")


async def test_of_many_who_send_one_draft_exactly_one_does(ask: Ask) -> None:
    (draft,) = await created(ask, 1)
    bodies = [{"status": status} for status in ("sent", "paid", "cancelled")] * 7
    answers = await all_of(*(ask("PUT", f"/v1/documents/{draft}", json=body) for body in bodies))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 422: 20}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 422} == {
        "document_not_draft"
    }
    won = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await ask("GET", f"/v1/documents/{draft}")).json() == won


async def test_of_many_who_pay_and_cancel_exactly_one_does(ask: Ask) -> None:
    (sent,) = await created(ask, 1, status="sent")
    answers = await all_of(
        *(ask("POST", f"/v1/documents/{sent}/{action}") for action in ("pay", "cancel") for _ in range(10))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 422: 19}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 422} == {
        "invalid_transition"
    }


async def test_of_many_who_delete_exactly_one_does_and_one_record_stays(account: Account, ask: Ask) -> None:
    (sent,) = await created(ask, 1, status="sent")
    answers = await all_of(*(ask("DELETE", f"/v1/documents/{sent}") for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 19}
    records = await asyncio.to_thread(
        account.sql, "select number from api.deleted_numbers where account_id = $1", account.id
    )
    assert [row[0] for row in records] == ["INV-2026-000001"]


async def test_a_client_deleted_amid_creates_and_changes_leaves_every_document_whole(ask: Ask) -> None:
    kept, doomed = [
        (await ask("POST", "/v1/clients", json={"name": name})).json()["id"] for name in ("Kept", "Doomed")
    ]
    drafts = [
        (await ask("POST", "/v1/documents", json=document(kept, **DAY))).json()["id"] for _ in range(20)
    ]
    before = [ask("POST", "/v1/documents", json=document(doomed, **DAY)) for _ in range(20)]
    moves = [ask("PUT", f"/v1/documents/{draft}", json={"client_id": doomed}) for draft in drafts]
    answers = await all_of(*before, ask("DELETE", f"/v1/clients/{doomed}"), *moves)
    assert {answer.status_code for answer in answers} <= {200, 201, 422}
    listed = (await ask("GET", "/v1/documents", params={"per_page": 100})).json()["data"]
    names = {kept: "Kept", doomed: "Doomed"}
    assert all(row["client"]["name"] == names[row["client_id"]] for row in listed)
    assert len(listed) == 20 + sum(answer.status_code == 201 for answer in answers)
