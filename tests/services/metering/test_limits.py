from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metering.limits import PLANS, Limits, Overrides, check_terms, limits_of, period_at
from shared.errors import Problem

MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - hypothesis wants its bounds bare
    max_value=datetime(9000, 1, 1),  # noqa: DTZ001 - hypothesis wants its bounds bare
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))]),
)


@pytest.mark.parametrize(
    ("plan", "documents", "api_calls", "burst_per_min"),
    [
        ("free", 20, 500, 60),
        ("starter", 200, 2_000, 300),
        ("growth", 1_000, 10_000, 600),
        ("scale", 20_000, 500_000, 6_000),
        ("enterprise", None, None, 60_000),
    ],
)
def test_each_plan_has_the_limits_that_were_promised(
    plan: str, documents: int | None, api_calls: int | None, burst_per_min: int
) -> None:
    expected = Limits(documents=documents, api_calls=api_calls, burst_per_min=burst_per_min)
    assert limits_of(plan, Overrides()) == expected


def test_a_plan_that_is_no_longer_sold_counts_as_free() -> None:
    assert limits_of("gold", Overrides()) == PLANS["free"]


def test_an_override_changes_its_cell_alone() -> None:
    overrides = check_terms("growth", {"documents": 5, "api_calls": None})
    assert limits_of("growth", overrides) == Limits(documents=5, api_calls=None, burst_per_min=600)


def test_every_broken_field_is_named() -> None:
    with pytest.raises(Problem) as raised:
        check_terms("gold", {"documents": -1, "api_calls": "many", "burst_per_min": 0, "clients": 3})
    assert raised.value.code == "validation_error"
    assert set(raised.value.details or {}) == {
        "plan", "overrides.documents", "overrides.api_calls", "overrides.burst_per_min", "overrides.clients",
    }  # fmt: skip


@given(MOMENTS)
def test_every_moment_lies_in_exactly_its_period(moment: datetime) -> None:
    period = period_at(moment)
    assert period.start <= moment < period.end
    assert period_at(period.start) == period
    assert period_at(period.end).start == period.end
    assert (period.start.day, period.end.day) == (1, 1)
    assert period.start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("now", "start", "last_day"),
    [
        ("2026-03-31T23:59:59.999999+00:00", "2026-03-01", "2026-03-31"),
        ("2026-04-01T00:00:00+00:00", "2026-04-01", "2026-04-30"),
        ("2026-04-01T01:00:00+02:00", "2026-03-01", "2026-03-31"),
        ("2028-02-29T12:00:00+00:00", "2028-02-01", "2028-02-29"),
        ("2026-12-31T23:30:00-01:00", "2027-01-01", "2027-01-31"),
    ],
)
def test_a_period_is_the_calendar_month_in_utc(now: str, start: str, last_day: str) -> None:
    period = period_at(datetime.fromisoformat(now))
    assert (period.start.date().isoformat(), period.last_day.isoformat()) == (start, last_day)
