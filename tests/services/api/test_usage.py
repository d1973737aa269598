"""Usage: the documented shape, and every call and document counted as the contract says."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic, sleep

import pytest
from account import Account, caller, made, refused
from bodies import CLIENT, JSON

PLANS = {
    "free": (20, 500, 60), "starter": (200, 2_000, 300), "growth": (1_000, 10_000, 600),
    "scale": (20_000, 500_000, 6_000), "enterprise": (None, None, 60_000),
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS)
def test_the_shape_is_the_documented_one(open_account: Callable[..., Account], plan: str) -> None:
    account = open_account("--plan", plan)
    answer = account.http.get("/v1/usage")
    documents, calls, burst = PLANS[plan]
    today = datetime.now(UTC).date()
    last = monthrange(today.year, today.month)[1]
    assert answer.json() == {
        "plan": plan,
        "period": {"start": today.replace(day=1).isoformat(), "end": today.replace(day=last).isoformat()},
        "documents": {"used": 0, "limit": documents},
        "api_calls": {"used": 1, "limit": calls},
    }
    assert f'"burst";q={burst};w=60' in answer.headers["ratelimit-policy"]


def test_the_limit_fields_tell_what_is_left(open_account: Callable[..., Account]) -> None:
    account = open_account("--plan", "growth")
    answer = account.http.get("/v1/templates")
    policy, state = answer.headers["ratelimit-policy"], answer.headers["ratelimit"]
    assert re.fullmatch(r'"burst";q=600;w=60, "api_calls";q=10000;w=\d+, "documents";q=1000;w=\d+', policy)
    assert re.fullmatch(r'"burst";r=599;t=\d+, "api_calls";r=9999;t=\d+, "documents";r=1000;t=\d+', state)


def used(account: Account) -> tuple[int, int]:
    """Documents and calls used, without the call that asks."""
    usage = account.usage()
    return usage["documents"]["used"], usage["api_calls"]["used"] - 1


def test_each_admitted_call_counts_whatever_comes_of_it(account: Account) -> None:
    http = account.http
    for answer, status in (
        (http.get("/v1/templates"), 200), (http.get("/v1/documents/x"), 404), (http.get("/v1/documents?page=0"), 400),
        (http.post("/v1/clients", json={}), 422), (http.post("/v1/clients", content=b"{", headers=JSON), 400),
        (http.post("/v1/clients", json=CLIENT), 201), (http.head("/v1/templates"), 200),
    ):  # fmt: skip
        assert answer.status_code == status
    assert used(account) == (0, 7)


def test_refused_calls_count_nothing(account: Account) -> None:
    with caller(account.product, account.product.key(account.id, "--scopes", "usage:read")) as http:
        refused(http.get("/v1/documents"), 403, "forbidden")
    refused(account.http.get("/v1/nowhere"), 404, "not_found")
    refused(account.http.patch("/v1/documents"), 405, "method_not_allowed")
    assert used(account) == (0, 0)


def test_a_document_counts_when_it_is_created_and_stays_counted_when_deleted(account: Account) -> None:
    draft = account.document()
    account.put(draft["id"], status="sent")
    account.http.delete(f"/v1/documents/{draft['id']}")
    account.document(status="sent")
    assert used(account)[0] == 2


def test_a_create_that_comes_to_nothing_gives_its_document_back(account: Account) -> None:
    http = account.http
    refused(http.post("/v1/documents", json={}), 422, "validation_error")
    refused(http.post("/v1/documents", content=b"{", headers=JSON), 400, "invalid_json")
    refused(account.post(client_id="cl_none"), 422, "validation_error")
    refused(account.post(client_id="cl_none", status="sent"), 422, "validation_error")
    for _ in range(2):
        answer = http.post("/v1/documents", json={}, headers={"idempotency-key": "x"})
        refused(answer, 422, "validation_error")
    documents, calls = used(account)
    assert (documents, calls) == (0, 6)  # one client was made, and one answer was a replay
    made(account.post())
    assert used(account)[0] == 1


def this_month() -> str:
    return datetime.now(UTC).strftime("%Y-%m")


def test_history_has_a_day_for_each_that_has_begun(account: Account) -> None:
    for _ in range(3):
        account.document()
    account.http.delete(f"/v1/documents/{account.document()['id']}")
    plain = account.usage()
    deadline = monotonic() + 10
    while True:
        told = account.http.get("/v1/usage", params={"granularity": "day"}).json()
        if told["history"][-1]["documents"] == 4 or monotonic() > deadline:
            break
        sleep(0.1)
    history = told.pop("history")
    assert told.keys() == plain.keys()
    assert told["period"] == plain["period"]
    today = datetime.now(UTC).date()
    assert [day["date"] for day in history] == [
        today.replace(day=number).isoformat() for number in range(1, today.day + 1)
    ]
    assert sum(day["documents"] for day in history) == told["documents"]["used"] == 4
    assert history[-1]["api_calls"] >= plain["api_calls"]["used"]


def test_a_period_may_be_named_alone_and_with_its_days(account: Account) -> None:
    current = account.usage()
    named = account.http.get("/v1/usage", params={"period": this_month()}).json()
    assert named == {**current, "api_calls": {"used": current["api_calls"]["used"] + 1, "limit": None}}
    past = account.http.get("/v1/usage", params={"period": "2024-02"}).json()
    assert past == {
        "plan": "enterprise",
        "period": {"start": "2024-02-01", "end": "2024-02-29"},
        "documents": {"used": 0, "limit": None},
        "api_calls": {"used": 0, "limit": None},
    }
    days = account.http.get("/v1/usage", params={"period": "2024-02", "granularity": "day"}).json()["history"]
    assert days == [{"date": f"2024-02-{day:02}", "documents": 0, "api_calls": 0} for day in range(1, 30)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=2024-13", "period"), ("period=", "period"), ("period=2199-01", "period"), ("period=x%00y", "period"),
        ("period=1999-12", "period"), ("period=2024-02%26history%3Dday", "period"), ("granularity=hour", "granularity"),
        ("granularity=", "granularity"), ("period=2024-01&period=2024-02", "period"), ("from=2024-01-01", "from"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_told(account: Account, query: str, field: str) -> None:
    details = refused(account.http.get(f"/v1/usage?{query}"), 400, "invalid_parameter")
    assert list(details) == [field]


def test_history_needs_the_scope_of_usage(account: Account) -> None:
    with caller(account.product, account.product.key(account.id, "--scopes", "documents:read")) as http:
        refused(http.get("/v1/usage?granularity=day"), 403, "forbidden")
