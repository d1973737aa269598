"""Idempotency keys: one change however often it is asked for, and the same answer each time."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx2
import pytest
from account import Account, caller, made, refused
from bodies import CLIENT, JSON, document

from services.api import idempotency
from services.api.store.idempotency import try_lock

ONCE = {"idempotency-key": "key-1"}


def count(account: Account, table: str) -> int:
    statements = {
        "clients": "select count(*) from api.clients where account_id = $1",
        "documents": "select count(*) from api.documents where account_id = $1",
        "records": "select count(*) from api.idempotency where account_id = $1",
    }
    ((rows,),) = account.sql(statements[table], account.id)
    return rows


def assert_replayed(first: httpx2.Response, second: httpx2.Response) -> None:
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert second.headers["ratelimit"]


def test_a_create_is_done_once_and_answered_twice(account: Account) -> None:
    first, second = (account.http.post("/v1/clients", json=CLIENT, headers=ONCE) for _ in range(2))
    assert first.status_code == 201
    assert_replayed(first, second)
    assert count(account, "clients") == 1


def test_a_document_is_counted_once_and_its_replay_not_at_all(account: Account) -> None:
    body = document(account.client_id, status="sent")
    before = account.usage()
    first, second = (account.http.post("/v1/documents", json=body, headers=ONCE) for _ in range(2))
    assert_replayed(first, second)
    after = account.usage()
    assert after["documents"]["used"] - before["documents"]["used"] == 1
    assert (
        after["api_calls"]["used"] - before["api_calls"]["used"] == 2
    )  # the create, and this look at the usage


@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
def test_a_change_and_a_deletion_are_done_once_too(account: Account, verb: str) -> None:
    path = f"/v1/documents/{account.document()['id']}"
    body = {"status": "sent"} if verb == "PUT" else None
    first, second = (account.http.request(verb, path, json=body, headers=ONCE) for _ in range(2))
    assert first.status_code == 200
    assert_replayed(first, second)
    refused_again = account.http.request(verb, path, json=body)
    assert refused_again.status_code == (422 if verb == "PUT" else 404)


@pytest.mark.parametrize("action", ["pay", "cancel"])
def test_a_step_without_a_body_is_done_once_too(account: Account, action: str) -> None:
    path = f"/v1/documents/{account.document(status='sent')['id']}/{action}"
    first, second = (account.http.post(path, headers=ONCE) for _ in range(2))
    assert first.status_code == 200
    assert_replayed(first, second)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"email": "x"}', 422), (b"{", 400), (b"", 400)],
)
def test_a_refusal_of_the_body_is_kept_and_replayed(account: Account, body: bytes, status: int) -> None:
    headers = {**ONCE, **JSON}
    first, second = (account.http.post("/v1/clients", content=body, headers=headers) for _ in range(2))
    assert first.status_code == status
    assert_replayed(first, second)


def test_a_404_is_kept_and_replayed(account: Account) -> None:
    first, second = (account.http.delete("/v1/clients/cl_none", headers=ONCE) for _ in range(2))
    assert first.status_code == 404
    assert_replayed(first, second)


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "/v1/clients", {**CLIENT, "name": "Other"}), ("POST", "/v1/documents", CLIENT),
        ("PUT", "/v1/clients", CLIENT), ("POST", "/v1/clients?x=1", CLIENT), ("DELETE", "/v1/clients/x", None),
    ],
)  # fmt: skip
def test_the_same_key_on_another_request_is_422(account: Account, verb: str, path: str, body: Any) -> None:
    made(account.http.post("/v1/clients", json=CLIENT, headers=ONCE))
    if path == "/v1/clients" and verb == "PUT":
        path = f"/v1/clients/{account.client_id}"
    answer = account.http.request(verb, path, json=body, headers=ONCE)
    refused(answer, 422, "idempotency_mismatch")
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "{}!~'\"", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"])
def test_a_key_is_one_to_255_printable_characters(account: Account, key: str) -> None:
    first, second = (
        account.http.post("/v1/clients", json=CLIENT, headers={"idempotency-key": key}) for _ in range(2)
    )
    assert first.status_code == 201
    assert_replayed(first, second)


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a\tb", b"\xc3\xa9"])
def test_any_other_key_is_400_and_changes_nothing(account: Account, key: bytes) -> None:
    answer = account.http.post("/v1/clients", json=CLIENT, headers={b"idempotency-key": key})
    refused(answer, 400, "invalid_parameter")
    assert count(account, "clients") == 0


def test_a_get_takes_no_notice_of_a_key(account: Account) -> None:
    for _ in range(2):
        answer = account.http.get("/v1/clients", headers=ONCE)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)
    assert count(account, "records") == 0


def test_a_key_is_free_again_after_24_hours_and_not_before(account: Account) -> None:
    first = made(account.http.post("/v1/clients", json=CLIENT, headers=ONCE))
    age = "update api.idempotency set created_at = now() - $2::text::interval where account_id = $1"
    account.sql(age, account.id, "23 hours 59 minutes")
    assert made(account.http.post("/v1/clients", json=CLIENT, headers=ONCE)) == first
    account.sql(age, account.id, "24 hours 1 second")
    again = account.http.post("/v1/clients", json={"name": "Another"}, headers=ONCE)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (201, False)
    assert_replayed(again, account.http.post("/v1/clients", json={"name": "Another"}, headers=ONCE))


def test_a_refusal_for_the_quota_is_not_kept(open_account: Callable[..., Account]) -> None:
    account = open_account("--plan", "free")
    account.command("accounts", "set-plan", account.id, "free", "--limit", "documents=0")
    body = document(account.client_id)
    for _ in range(2):
        answer = account.http.post("/v1/documents", json=body, headers=ONCE)
        refused(answer, 429, "quota_exceeded")
        assert "idempotent-replayed" not in answer.headers
    account.command("accounts", "set-plan", account.id, "starter", "--no-own-limits")
    made(account.http.post("/v1/documents", json=body, headers=ONCE))


def test_a_refusal_for_the_key_is_not_kept(account: Account) -> None:
    with caller(account.product, account.product.key(account.id, "--scopes", "usage:read")) as http:
        refused(http.post("/v1/clients", json=CLIENT, headers=ONCE), 403, "forbidden")
    made(account.http.post("/v1/clients", json=CLIENT, headers=ONCE))


async def test_a_key_whose_request_still_runs_is_409(account: Account) -> None:
    connection = await asyncpg.connect(account.product.urls.database)
    try:
        async with connection.transaction():
            assert await try_lock(connection, account.id, ONCE["idempotency-key"])
            answer = await asyncio.to_thread(
                account.http.post, "/v1/clients", json=CLIENT, headers=ONCE
            )  # fmt: skip
    finally:
        await connection.close()
    refused(answer, 409, "idempotency_in_progress")
    assert answer.headers["retry-after"] == "1"
    made(await asyncio.to_thread(account.http.post, "/v1/clients", json=CLIENT, headers=ONCE))


async def test_a_hundred_at_once_make_one_document(account: Account) -> None:
    body = document(await asyncio.to_thread(lambda: account.client_id), status="sent")
    async with httpx2.AsyncClient(base_url=account.product.gateway, headers=account.http.headers) as http:
        answers = await asyncio.gather(
            *(http.post("/v1/documents", json=body, headers=ONCE) for _ in range(100))
        )
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    created = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in created}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in created) == 1
    assert await asyncio.to_thread(count, account, "documents") == 1
    usage = await asyncio.to_thread(account.usage)
    assert usage["documents"]["used"] == 1


def test_record_and_change_are_one_transaction(account: Account) -> None:
    """A record that cannot be written takes the change, its number and its count with it."""
    body = document(account.client_id, status="sent", issued_date="2026-01-01")
    account.sql(
        f"alter table api.idempotency add constraint broken check (account_id <> '{account.id}') not valid"
    )
    try:
        answer = account.http.post("/v1/documents", json=body, headers=ONCE)
    finally:
        account.sql("alter table api.idempotency drop constraint broken")
    refused(answer, 500, "internal_error")
    assert count(account, "documents") == count(account, "records") == 0
    assert account.usage()["documents"]["used"] == 0
    done = made(account.http.post("/v1/documents", json=body, headers=ONCE))
    assert done["number"] == "INV-2026-000001"


def test_a_refused_send_under_a_key_takes_no_number(account: Account) -> None:
    bad = document("cl_none", status="sent", issued_date="2026-01-01")
    refused(account.http.post("/v1/documents", json=bad, headers=ONCE), 422, "validation_error")
    sent = account.document(status="sent", issued_date="2026-01-01")
    assert sent["number"] == "INV-2026-000001"


def test_records_are_kept_for_a_day() -> None:
    assert idempotency.KEPT.total_seconds() == 24 * 3600
