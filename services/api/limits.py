"""Limits as a client reads them: the RateLimit fields of draft-ietf-httpapi-ratelimit-headers, and the two 429s."""

import time
from math import ceil

from services.api.admission import Decision
from services.api.http import Headers
from shared.errors import Problem


def limit_headers(decision: Decision) -> Headers:
    """RateLimit-Policy (q: quota, w: window in s) and RateLimit (r: remaining, t: seconds until more)."""
    window_s = decision.period_end_s - decision.period_start_s
    left_s = max(0, decision.period_end_s - int(time.time()))
    policies: list[str] = []
    states: list[str] = []
    if decision.burst_limit >= 0:
        policies.append(f'"burst";q={decision.burst_limit};w=60')
        states.append(f'"burst";r={decision.burst_remaining};t={ceil(decision.burst_reset_ms / 1000)}')
    for name, limit, used in _quotas(decision):
        if limit >= 0:
            policies.append(f'"{name}";q={limit};w={window_s}')
            states.append(f'"{name}";r={max(0, limit - used)};t={left_s}')
    if not policies:
        return []
    return [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", ", ".join(states).encode()),
    ]


def refusal(decision: Decision, documents: int = 1) -> Problem:
    """The 429 of a decision that granted nothing to a call that asked for so many documents."""
    retry_after_s = max(1, ceil(decision.retry_after_ms / 1000))
    if decision.reason == "burst":
        return Problem(
            "rate_limited",
            f"More than {decision.burst_limit:,} calls a minute; try again in {retry_after_s} s",
            retry_after_s=retry_after_s,
        )
    limits = {name: (limit, used) for name, limit, used in _quotas(decision)}
    limit, used = limits[decision.reason]
    sentence = f"The period's {decision.reason} are used up ({used:,} of {limit:,}); a larger plan has more"
    if decision.reason == "documents" and documents > 1 and used < limit:
        left = f"{limit - used:,} of the period's {limit:,} are left"
        sentence = f"This call would create {documents:,} documents, and {left}; nothing was created"
    return Problem(
        "quota_exceeded",
        sentence,
        {"quota": decision.reason, "limit": limit, "used": used},
        retry_after_s=retry_after_s,
    )


def _quotas(decision: Decision) -> tuple[tuple[str, int, int], ...]:
    return (
        ("api_calls", decision.calls_limit, decision.calls_used),
        ("documents", decision.documents_limit, decision.documents_used),
    )
