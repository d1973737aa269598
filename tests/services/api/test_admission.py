"""Admission: the last call within a limit passes, the next one is told when to come back."""

import asyncio
from calendar import monthrange
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
from account import Account, made, refused
from bodies import document

Open = Callable[..., Account]


def limited(open_account: Open, *limits: str) -> Account:
    account = open_account("--plan", "free")
    account.command(
        "accounts", "set-plan", account.id, "free", *(part for limit in limits for part in ("--limit", limit))
    )
    return account


def seconds_to_the_periods_end() -> float:
    now = datetime.now(UTC)
    last = now.replace(
        day=monthrange(now.year, now.month)[1], hour=23, minute=59, second=59, microsecond=999_999
    )
    return (last - now).total_seconds()


def test_the_burst_limit_stops_the_call_after_its_last(open_account: Open) -> None:
    account = limited(open_account, "burst_per_min=3")
    answers = [account.http.get("/v1/templates") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    refused(answers[3], 429, "rate_limited")
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    assert answers[3].headers["ratelimit"].startswith('"burst";r=0;t=')
    assert account.http.get("/v1/documents/x").status_code == 429


def test_the_quota_of_calls_stops_the_call_after_its_last(open_account: Open) -> None:
    account = limited(open_account, "api_calls=3")
    answers = [account.http.get("/v1/usage") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[2].json()["api_calls"] == {"used": 3, "limit": 3}
    details = refused(answers[3], 429, "quota_exceeded")
    assert details == {"quota": "api_calls", "limit": 3, "used": 3}
    assert abs(int(answers[3].headers["retry-after"]) - seconds_to_the_periods_end()) < 5
    assert '"api_calls";r=0;' in answers[3].headers["ratelimit"]


def test_the_quota_of_documents_stops_the_create_after_its_last_and_nothing_else(open_account: Open) -> None:
    account = limited(open_account, "documents=3")
    answers = [account.post() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    details = refused(answers[3], 429, "quota_exceeded")
    assert details == {"quota": "documents", "limit": 3, "used": 3}
    assert abs(int(answers[3].headers["retry-after"]) - seconds_to_the_periods_end()) < 5
    assert account.http.get("/v1/documents").json()["pagination"]["total"] == 3
    assert account.put(answers[0].json()["id"], status="sent").status_code == 200
    account.http.delete(f"/v1/documents/{answers[0].json()['id']}")
    refused(account.post(), 429, "quota_exceeded")


def test_a_create_that_came_to_nothing_leaves_room_for_another(open_account: Open) -> None:
    account = limited(open_account, "documents=1")
    for _ in range(3):
        refused(account.post(client_id="cl_none"), 422, "validation_error")
    made(account.post())
    refused(account.post(), 429, "quota_exceeded")


def test_refused_calls_are_not_counted(open_account: Open) -> None:
    account = limited(open_account, "documents=0", "api_calls=10")
    client_id = account.client_id
    for _ in range(3):
        refused(account.post(client_id=client_id), 429, "quota_exceeded")
    usage = account.usage()
    assert (usage["documents"]["used"], usage["api_calls"]["used"]) == (0, 2)


def test_another_plan_holds_from_the_very_next_call(open_account: Open) -> None:
    account = limited(open_account, "documents=0")
    refused(account.post(), 429, "quota_exceeded")
    account.command("accounts", "set-plan", account.id, "enterprise", "--no-own-limits")
    made(account.post())
    assert account.usage()["documents"] == {"used": 1, "limit": None}
    account.command("accounts", "set-plan", account.id, "free", "--limit", "documents=1")
    refused(account.post(), 429, "quota_exceeded")
    account.command("accounts", "set-plan", account.id, "free", "--limit", "documents=2")
    made(account.post())


def test_a_replay_passes_where_a_call_would_not(open_account: Open) -> None:
    account = limited(open_account, "documents=1")
    body, once = document(account.client_id), {"idempotency-key": "x"}
    first = account.http.post("/v1/documents", json=body, headers=once)
    again = account.http.post("/v1/documents", json=body, headers=once)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)


async def test_a_hundred_at_once_pass_exactly_the_limit(open_account: Open) -> None:
    account = await asyncio.to_thread(limited, open_account, "documents=7", "burst_per_min=1000")
    body = document(await asyncio.to_thread(lambda: account.client_id))
    async with httpx2.AsyncClient(base_url=account.product.gateway, headers=account.http.headers) as http:
        answers = await asyncio.gather(*(http.post("/v1/documents", json=body) for _ in range(100)))
    assert Counter(answer.status_code for answer in answers) == {201: 7, 429: 93}
    usage = await asyncio.to_thread(account.usage)
    assert usage["documents"] == {"used": 7, "limit": 7}
