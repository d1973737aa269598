"""The internal API over HTTP, on real stores."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.metering import dirty, invocation
from services.metering.counters import read_live
from services.metering.dirty import clean_all
from services.metering.http import BODY_BYTES_MAX
from services.metering.limits import period_at
from services.metering.routes import ADMIT_BYTES_MAX, EVENTS_BYTES_MAX
from services.metering.stores import Stores, redis_clock, send
from shared.messages import meter_account
from tests.services.metering.conftest import (
    ACCOUNT,
    ADMIT,
    EVENTS,
    LIMITS,
    SEED,
    SEEDS,
    TOKEN,
    USAGE,
    Producer,
    ask,
)

READ = (0, 1, 1, 0)


async def test_admission_seeds_counts_and_answers_in_order(client: httpx2.AsyncClient) -> None:
    items = [
        ask("documents", 20, id="a"),
        ask("api_calls", 7),
        ask("documents", id="c"),
        ask("api_calls", 60),
    ]
    answer = await client.post(
        ADMIT, json={"items": [*items, {"account": "acct_two", "metric": "api_calls"}]}
    )
    assert answer.status_code == 200
    first, second, third, fourth, other = answer.json()["items"]
    assert first == {"account": ACCOUNT, "metric": "documents", "granted": True, "id": "a", "remaining": 0}
    assert second == {"account": ACCOUNT, "metric": "api_calls", "granted": True, "remaining": 493}
    assert (third["granted"], third["reason"], third["id"], third["remaining"]) == (
        False,
        "documents",
        "c",
        0,
    )
    assert (fourth["granted"], fourth["reason"], fourth["remaining"]) == (False, "burst", 493)
    assert 6_500 < fourth["retry_after_ms"] <= 7_000
    assert other["granted"] is True
    used = (await client.get(USAGE)).json()
    assert (used["documents"]["used"], used["api_calls"]["used"]) == (20, 7)


async def test_concurrent_batches_never_exceed_the_quota(client: httpx2.AsyncClient) -> None:
    batches = [client.post(ADMIT, json={"items": [ask("documents")] * 5}) for _ in range(12)]
    answers = [answer.json()["items"] for answer in await asyncio.gather(*batches)]
    assert sum(item["granted"] for items in answers for item in items) == 20


async def test_many_accounts_are_seeded_in_one_call_with_the_generations_that_are_known(
    client: httpx2.AsyncClient, meter: Stores, gateway: Producer
) -> None:
    names = [f"acct_{number}" for number in range(60)]
    wanted = [{"id": name, "generation": 4} for name in names[:59]] + [{"id": names[59]}]
    assert (await client.post(SEEDS, json={"accounts": wanted})).status_code == 204
    lives = [await read_live(meter.redis, name) for name in names]
    assert None not in lives
    asked = [
        await gateway.admit((generation, 1, 1, 0), account=name)
        for name, generation in ((names[0], 4), (names[0], 3), (names[59], 0), (names[59], -1))
    ]
    assert [reply.status for (reply,) in asked] == [0, 2, 1, 0]


async def test_a_malformed_seed_is_refused(client: httpx2.AsyncClient) -> None:
    for accounts in (
        [{"id": "a b"}],
        [{"generation": 1}],
        [{"id": "a", "generation": -1}],
        [{"id": "a"}] * 1001,
    ):
        assert (await client.post(SEEDS, json={"accounts": accounts})).status_code == 422


async def test_admission_loads_the_functions_where_they_are_missing(
    client: httpx2.AsyncClient, meter: Stores
) -> None:
    await send(meter.redis, "FUNCTION FLUSH")
    answer = await client.post(ADMIT, json={"items": [ask("api_calls")]})
    assert answer.json()["items"][0]["granted"] is True


async def test_a_seed_may_be_repeated(client: httpx2.AsyncClient, gateway: Producer) -> None:
    for _ in range(3):
        answer = await client.post(SEED)
        assert (answer.status_code, answer.content) == (204, b"")
        await gateway.admit(READ)
    assert (await gateway.admit(READ))[0].calls_used == 4


async def test_a_seed_takes_the_generation_that_it_brings(
    client: httpx2.AsyncClient, gateway: Producer
) -> None:
    await client.post(SEED, json={"generation": 4})
    assert [reply.status for reply in await gateway.admit((3, 1, 1, 0), (4, 1, 1, 0))] == [2, 0]


async def test_limits_hold_from_the_next_call_on(client: httpx2.AsyncClient, gateway: Producer) -> None:
    await client.post(SEED)
    assert (await client.get(LIMITS)).json() == {
        "plan": "free",
        "overrides": {},
        "limits": {"burst_per_min": 60, "api_calls": 500, "documents": 20},
        "billing": {"anchor_day": 1, "time_zone": "UTC"},
    }
    answer = await client.put(
        LIMITS, json={"plan": "scale", "overrides": {"api_calls": None, "documents": 7}}
    )
    assert answer.json() == {
        "plan": "scale",
        "overrides": {"api_calls": None, "documents": 7},
        "limits": {"burst_per_min": 6_000, "api_calls": None, "documents": 7},
        "billing": {"anchor_day": 1, "time_zone": "UTC"},
    }
    assert (await client.get(LIMITS)).json() == answer.json()
    (reply,) = await gateway.admit(READ)
    assert (reply.burst_limit, reply.calls_limit, reply.documents_limit) == (6_000, -1, 7)
    assert (await client.put(LIMITS, json={"plan": "free"})).json()["overrides"] == {}


INTERNAL = (
    ("GET", USAGE), ("POST", ADMIT), ("POST", EVENTS), ("POST", SEED), ("GET", LIMITS), ("PUT", LIMITS),
    ("GET", "/internal/v1/x"),
)  # fmt: skip


async def test_nothing_internal_is_had_without_the_token(client: httpx2.AsyncClient) -> None:
    for shown in (None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
        client.headers.pop("Authorization", None)
        client.headers.update({} if shown is None else {"Authorization": shown})
        for method, path in INTERNAL:
            answer = await client.request(method, path)
            assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


NESTED = b'{"plan": "free", "overrides": {"documents": ' + b"[" * 50_000
WRONG_COST = b'{"items": [{"account": "acct_one", "metric": "documents", "cost": -1}]}'
WRONG_METRIC = b'{"items": [{"account": "acct_one", "metric": "Pages"}]}'
WRONG_ACCOUNT = b'{"items": [{"account": "", "metric": "documents"}]}'
TOO_MANY = msgspec.json.encode({"items": [ask("documents")] * 1001})
BAD_REQUESTS: tuple[tuple[str, str, bytes, int, str, str], ...] = (
    ("POST", ADMIT, b"", 400, "invalid_json", ""),
    ("POST", ADMIT, b"{", 400, "invalid_json", ""),
    ("POST", ADMIT, b"\xff", 400, "invalid_json", ""),
    ("PUT", LIMITS, NESTED, 400, "invalid_json", ""),
    ("PUT", LIMITS, b" " * (BODY_BYTES_MAX + 1), 413, "payload_too_large", ""),
    ("POST", ADMIT, b" " * (ADMIT_BYTES_MAX + 1), 413, "payload_too_large", ""),
    ("POST", ADMIT, b"[]", 422, "validation_error", "body"),
    ("POST", ADMIT, b"{}", 422, "validation_error", "body"),
    ("POST", ADMIT, WRONG_METRIC, 422, "validation_error", "items[0].metric"),
    ("POST", ADMIT, WRONG_ACCOUNT, 422, "validation_error", "items[0].account"),
    ("POST", ADMIT, WRONG_COST, 422, "validation_error", "items[0].cost"),
    ("POST", ADMIT, TOO_MANY, 422, "validation_error", "items"),
    ("POST", EVENTS, b'{"events": [{]}', 400, "invalid_json", ""),
    ("POST", EVENTS, b'{"events": ' + b"[" * 50_000, 400, "invalid_json", ""),
    ("POST", EVENTS, b'{"events": {}}', 422, "validation_error", "events"),
    ("POST", EVENTS, b"{}", 422, "validation_error", "body"),
    ("POST", EVENTS, b" " * (EVENTS_BYTES_MAX + 1), 413, "payload_too_large", ""),
    ("POST", SEED, b'{"generation": -1}', 422, "validation_error", "generation"),
    ("PUT", LIMITS, b'{"plan": "gold"}', 422, "validation_error", "plan"),
    (
        "PUT",
        LIMITS,
        b'{"plan": "free", "overrides": {"documents": 1.5}}',
        422,
        "validation_error",
        "overrides.documents",
    ),
    ("PUT", LIMITS, b'{"plan": "free", "limits": {}}', 422, "validation_error", "body"),
    (
        "PUT",
        LIMITS,
        b'{"plan": "free", "billing": {"anchor_day": 29}}',
        422,
        "validation_error",
        "billing.anchor_day",
    ),
    (
        "PUT",
        LIMITS,
        b'{"plan": "free", "billing": {"time_zone": "X"}}',
        422,
        "validation_error",
        "billing.time_zone",
    ),
    ("PUT", LIMITS, b'{"plan": "free", "billing": {"since": 1}}', 422, "validation_error", "billing"),
    ("PUT", LIMITS, b'{"plan": "gold", "billing": {"anchor_day": 2}}', 422, "validation_error", "plan"),
    ("GET", "/internal/v1/usage/a%20b", b"", 404, "not_found", ""),
    ("GET", "/internal/v1/nowhere", b"", 404, "not_found", ""),
    ("GET", "/nowhere", b"", 404, "not_found", ""),
)


async def test_a_bad_request_is_told_what_is_wrong(client: httpx2.AsyncClient) -> None:
    for method, path, body, status, code, field in BAD_REQUESTS:
        answer = await client.request(method, path, content=body)
        assert (answer.status_code, answer.json()["error"]) == (status, code), (path, body[:80])
        assert answer.json()["message"]
        assert set(answer.json().get("details", {})) == ({field} if field else set())


async def test_a_wrong_method_is_told_the_right_ones(client: httpx2.AsyncClient) -> None:
    answer = await client.delete(LIMITS)
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT"}


async def test_health_needs_no_token(client: httpx2.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}


async def test_without_its_stores_it_lives_and_says_that_it_is_unavailable(
    storeless: httpx2.AsyncClient,
) -> None:
    assert (await storeless.get("/health/live")).status_code == 200
    ready = await storeless.get("/health/ready")
    assert (ready.status_code, set(ready.json()["details"])) == (503, {"postgres", "redis"})
    for method, path, body in [
        ("GET", USAGE, None),
        ("POST", ADMIT, {"items": [ask("documents")]}),
        ("POST", EVENTS, {"events": [{"id": "a", "account": ACCOUNT, "metric": "pages", "amount": 1}]}),
        ("POST", SEED, None),
        ("GET", LIMITS, None),
        ("PUT", LIMITS, {"plan": "free"}),
    ]:
        answer = await storeless.request(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "1"


async def test_a_missing_schema_is_not_ready(client: httpx2.AsyncClient, meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await connection.execute("alter schema metering rename to elsewhere")
    answer = await client.get("/health/ready")
    assert (answer.status_code, set(answer.json()["details"])) == (503, {"postgres"})


async def test_a_defect_is_a_500_without_its_cause(client: httpx2.AsyncClient, meter: Stores) -> None:
    await client.post(SEED)
    await send(meter.redis, "HSET", meter_account(ACCOUNT), "calls_used", "many")
    answer = await client.get(USAGE)
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "many" not in answer.text


async def test_a_lost_reply_is_asked_for_again_and_counts_once(
    client: httpx2.AsyncClient, meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post(SEED)
    _lose_the_next_reply(monkeypatch)
    answer = await client.post(ADMIT, json={"items": [ask("api_calls", 3)]})
    assert answer.json()["items"][0]["granted"] is True
    assert await send(meter.redis, "HGET", meter_account(ACCOUNT), "calls_used") == b"3"


def _lose_the_next_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[bool] = []

    async def losing(redis: Any, *parts: Any) -> Any:
        reply = await send(redis, *parts)
        if not lost:
            lost.append(True)
            raise RedisTimeoutError
        return reply

    monkeypatch.setattr(invocation, "send", losing)


async def test_events_are_receipted_one_by_one_and_count_at_the_next_look(client: httpx2.AsyncClient) -> None:
    await client.post(ADMIT, json={"items": [ask("api_calls", 2)]})
    event = {"id": "a", "account": ACCOUNT, "metric": "api_calls", "amount": 5}
    batch = [event, event, {**event, "id": "b", "metric": "documents"}, {**event, "id": "c", "amount": -1}]
    answer = await client.post(EVENTS, json={"events": batch})
    assert (answer.status_code, answer.json()) == (200, {
        "accepted": 2, "duplicates": 1,
        "refused": [{"index": 3, "message": "Expected `int` >= 0 - at `$.amount`"}],
    })  # fmt: skip
    again = await client.post(EVENTS, json={"events": batch})
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 3)
    (item,) = (await client.post(ADMIT, json={"items": [ask("api_calls")]})).json()["items"]
    assert item["remaining"] == 500 - 8
    assert (await client.get(USAGE)).json()["documents"]["used"] == 5


async def test_events_are_taken_while_redis_is_away_and_counted_when_it_is_back(
    client: httpx2.AsyncClient, meter: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post(ADMIT, json={"items": [ask("api_calls")]})

    async def away(*_: object) -> None:
        raise RedisTimeoutError

    monkeypatch.setattr(dirty, "forget_counters", away)
    event = {"id": "a", "account": ACCOUNT, "metric": "api_calls", "amount": 5}
    answer = await client.post(EVENTS, json={"events": [event]})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    monkeypatch.undo()
    await clean_all(meter)
    (item,) = (await client.post(ADMIT, json={"items": [ask("api_calls")]})).json()["items"]
    assert item["remaining"] == 500 - 7


async def test_the_largest_batch_of_items_fits_through_the_door(client: httpx2.AsyncClient) -> None:
    item = {"account": "a" * 64, "metric": "m" * 40, "cost": 1_000_000}
    items = [{**item, "id": f"{number:x>255}"} for number in range(1_000)]
    answer = await client.post(ADMIT, json={"items": items})
    assert answer.status_code == 200
    assert all(verdict["granted"] for verdict in answer.json()["items"])


async def test_the_largest_batch_of_events_fits_through_the_door(client: httpx2.AsyncClient) -> None:
    event = {"account": "a" * 64, "metric": "m" * 40, "amount": 10**9, "time": datetime.now(UTC).isoformat()}
    events = [{**event, "id": f"{number:x>255}"} for number in range(10_000)]
    answer = await client.post(EVENTS, json={"events": events})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 10_000, "duplicates": 0, "refused": []})
    answer = await client.post(EVENTS, json={"events": [*events, event]})
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")


async def test_billing_terms_follow_at_the_periods_end(client: httpx2.AsyncClient, meter: Stores) -> None:
    billing = {"anchor_day": 15, "time_zone": "Asia/Kolkata"}
    answer = await client.put(LIMITS, json={"plan": "free", "billing": billing})
    end = period_at(await redis_clock(meter.redis)).end
    following = {"since": end.isoformat().replace("+00:00", "Z"), **billing}
    expected = {"anchor_day": 1, "time_zone": "UTC", "next": following}
    assert answer.json()["billing"] == expected
    kept = await client.put(LIMITS, json={"plan": "growth"})
    assert (kept.json()["plan"], kept.json()["billing"]) == ("growth", expected)
    half = await client.put(LIMITS, json={"plan": "growth", "billing": {"anchor_day": 2}})
    assert half.json()["billing"]["next"] == {**following, "anchor_day": 2}
