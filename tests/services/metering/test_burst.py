"""The burst limit and the period's end, on a clock that the test sets."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.metering.entries import decode_entry
from shared.messages import meter_account
from tests.services.metering.conftest import ACCOUNT, MONTH_S, Clocked

MINUTE_US = 60_000_000
STEPS = st.lists(
    st.tuples(st.integers(0, 20_000_000), st.integers(1, 40), st.integers(1, 3)), min_size=1, max_size=25
)
BURSTS = st.sampled_from([1, 7, 60, 61, 600, 6_000_000])


@pytest.mark.parametrize("burst", [1, 7, 60, 300, 600, 6_000, 60_000])
def test_a_rested_account_may_spend_its_whole_burst_and_no_more(clocked: Clocked, burst: int) -> None:
    clocked.seed(burst=burst)
    reply = clocked.read(burst + 5)
    assert (reply.granted, reply.reason, reply.burst_remaining) == (burst, 1, 0)
    assert reply.calls_used == burst


def test_the_burst_comes_back_one_call_at_a_time(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.read(60)
    clocked.advance(999_999)
    assert clocked.read().granted == 0
    clocked.advance(1)
    assert clocked.read(2).granted == 1
    clocked.advance(MINUTE_US)
    assert clocked.read(100).granted == 60


def test_reset_says_when_the_burst_is_whole_again(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    assert clocked.read(10).burst_reset_ms == 10_000
    clocked.advance(10_000_000)
    assert clocked.admit((0, 0, 0, 0))[0].burst_reset_ms == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(burst=BURSTS, steps=STEPS)
def test_no_span_of_time_holds_more_than_a_burst_and_what_came_back(
    clocked: Clocked, burst: int, steps: list[tuple[int, int, int]]
) -> None:
    clocked.redis.delete(meter_account(ACCOUNT))
    clocked.seed(burst=burst)
    spent: list[tuple[int, int]] = []
    for wait_us, n, calls in steps:
        clocked.advance(wait_us)
        spent.append((clocked.now_us, clocked.read(n, calls).granted * calls))
    for i, (start_us, _) in enumerate(spent):
        for end, (end_us, _) in enumerate(spent[i:], start=i):
            came_back = (end_us - start_us) * burst // MINUTE_US
            assert sum(calls for _, calls in spent[i : end + 1]) <= burst + came_back


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    burst=st.integers(3, 2_000),
    spend=st.integers(0, 3_000),
    wait_us=st.integers(0, 3_000_000),
    calls=st.integers(1, 3),
)
def test_retry_after_is_the_first_millisecond_at_which_the_call_passes(
    clocked: Clocked, burst: int, spend: int, wait_us: int, calls: int
) -> None:
    clocked.redis.delete(meter_account(ACCOUNT))
    clocked.seed(burst=burst)
    clocked.read(spend)
    clocked.advance(wait_us)
    refused = clocked.read(burst + 1, calls)
    assert refused.reason == 1
    clocked.advance(refused.retry_after_ms * 1000 - 1000)
    assert clocked.read(1, calls).granted == 0
    clocked.advance(1000)
    assert clocked.read(1, calls).granted == 1


def test_a_request_is_granted_whole_or_not_at_all(clocked: Clocked) -> None:
    clocked.seed(burst=10, calls=100, documents=2)
    reply = clocked.admit((0, 5, 3, 1))[0]
    assert (reply.granted, reply.reason, reply.calls_used, reply.documents_used) == (2, 3, 6, 2)


def test_an_unlimited_burst_never_refuses(clocked: Clocked) -> None:
    clocked.seed(burst=-1)
    reply = clocked.read(1_000_000)
    assert (reply.granted, reply.burst_limit, reply.burst_remaining, reply.burst_reset_ms) == (
        1_000_000,
        -1,
        -1,
        0,
    )


def test_a_clock_set_back_a_little_gives_no_call_twice(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.read(60)
    for _ in range(5):
        clocked.advance(-30_000_000)
        assert clocked.read().granted == 0
        clocked.advance(30_000_000)
        assert clocked.read().granted == 0


def test_retry_after_holds_on_a_clock_that_was_set_back(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.read(60)
    clocked.advance(-20_000_000)
    wait_us = clocked.read().retry_after_ms * 1000
    assert wait_us == 21_000_000
    clocked.advance(wait_us - 1000)
    assert clocked.read().granted == 0
    clocked.advance(1000)
    assert clocked.read().granted == 1


def test_a_clock_set_back_by_an_hour_stops_nobody_for_long(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.advance(3600 * 1_000_000)
    clocked.read(60)
    clocked.advance(-3600 * 1_000_000)
    assert clocked.read().granted == 0
    clocked.advance(1_000_000)
    assert clocked.read(5).granted == 1


def test_a_clock_set_forward_grants_one_burst_and_no_more(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.read(60)
    clocked.advance(3600 * 1_000_000)
    assert clocked.read(200).granted == 60


def test_a_used_up_quota_says_when_the_period_ends(clocked: Clocked) -> None:
    clocked.seed(burst=600, calls=3)
    clocked.set(MONTH_S[1] * 1_000_000 - 1_500)
    reply = clocked.read(4)
    assert (reply.granted, reply.reason, reply.retry_after_ms) == (3, 2, 2)


def test_the_period_ends_to_the_microsecond(clocked: Clocked) -> None:
    clocked.seed()
    clocked.set(MONTH_S[1] * 1_000_000 - 1)
    assert clocked.read().status == 0
    clocked.advance(1)
    assert clocked.read().status == 1


def test_a_quota_outlasts_a_burst_as_the_reason(clocked: Clocked) -> None:
    clocked.seed(burst=3, calls=3)
    assert clocked.read(4).reason == 2


def test_calls_of_a_running_burst_stay_counted_under_a_new_limit(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.read(60)
    clocked.call("clocked_limits_v1", 1, meter_account(ACCOUNT), 1, 600, -1, -1)
    assert clocked.read(600).granted == 540
    clocked.call("clocked_limits_v1", 1, meter_account(ACCOUNT), 2, 60, -1, -1)
    assert clocked.read().retry_after_ms == 1_000


def test_a_burst_made_unlimited_and_limited_again_starts_whole(clocked: Clocked) -> None:
    clocked.seed(burst=60)
    clocked.read(60)
    clocked.call("clocked_limits_v1", 1, meter_account(ACCOUNT), 1, -1, -1, -1)
    clocked.read(1000)
    clocked.call("clocked_limits_v1", 1, meter_account(ACCOUNT), 2, 60, -1, -1)
    assert clocked.read(61).granted == 60


def test_counts_of_a_period_stay_in_it_though_the_clock_goes_back_before_it(clocked: Clocked) -> None:
    clocked.seed()
    clocked.set(MONTH_S[0] * 1_000_000 - 1)
    assert clocked.read().status == 0
    entry = decode_entry(clocked.last_entry())
    assert [counted.bucket_s for counted in entry.counted] == [MONTH_S[0]]
