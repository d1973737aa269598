"""Limits as a client reads them: the RateLimit fields and the two 429s."""

import time

import msgspec
import pytest

from services.api.admission import Decision
from services.api.limits import limit_headers, refusal

NOW_S = int(time.time())
ADMITTED = Decision(
    granted=True, reason="", burst_limit=60, burst_remaining=59, burst_reset_ms=1_001, retry_after_ms=0,
    calls_limit=500, calls_used=1, documents_limit=20, documents_used=0, period_start_s=NOW_S - 100,
    period_end_s=NOW_S + 1_000,
)  # fmt: skip


def fields(decision: Decision) -> dict[bytes, str]:
    return {name: value.decode() for name, value in limit_headers(decision)}


def test_each_limit_has_its_policy_and_its_state() -> None:
    told = fields(ADMITTED)
    assert told[b"ratelimit-policy"] == '"burst";q=60;w=60, "api_calls";q=500;w=1100, "documents";q=20;w=1100'
    assert told[b"ratelimit"].startswith('"burst";r=59;t=2, "api_calls";r=499;t=')
    assert '"documents";r=20;t=' in told[b"ratelimit"]


def test_what_is_unlimited_is_not_told() -> None:
    unlimited = msgspec.structs.replace(ADMITTED, calls_limit=-1, documents_limit=-1)
    assert fields(unlimited) == {b"ratelimit-policy": '"burst";q=60;w=60', b"ratelimit": '"burst";r=59;t=2'}


def test_nothing_is_left_of_a_limit_that_was_lowered_below_its_use() -> None:
    lowered = msgspec.structs.replace(ADMITTED, calls_limit=5, calls_used=9)
    assert '"api_calls";r=0;' in fields(lowered)[b"ratelimit"]


@pytest.mark.parametrize(
    ("wait_ms", "retry_after_s"), [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_999, 60)]
)
def test_retry_after_is_never_sooner_than_the_call_would_pass(wait_ms: int, retry_after_s: int) -> None:
    stopped = msgspec.structs.replace(ADMITTED, granted=False, reason="burst", retry_after_ms=wait_ms)
    problem = refusal(stopped)
    assert (problem.code, problem.retry_after_s) == ("rate_limited", retry_after_s)


@pytest.mark.parametrize(("reason", "limit", "used"), [("api_calls", 500, 1), ("documents", 20, 0)])
def test_a_used_up_quota_is_named(reason: str, limit: int, used: int) -> None:
    problem = refusal(
        msgspec.structs.replace(ADMITTED, granted=False, reason=reason, retry_after_ms=86_400_000)
    )
    assert (problem.code, problem.retry_after_s) == ("quota_exceeded", 86_400)
    assert problem.details == {"quota": reason, "limit": limit, "used": used}
