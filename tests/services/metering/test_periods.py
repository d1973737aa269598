"""Billing periods: for any anchor day, time zone and change of terms, each moment lies in exactly one."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metering.limits import Billing, Period, period_at, period_named
from shared.errors import Problem

ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "America/St_Johns", "Pacific/Apia", "Pacific/Kiritimati", "America/Havana", "America/Santiago", "Asia/Beirut",
    "Africa/Casablanca", "America/Sao_Paulo", "Antarctica/Troll", "Etc/GMT+12",
)  # fmt: skip
ALWAYS = datetime(1980, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(2005, 1, 1),  # noqa: DTZ001 - hypothesis wants its bounds bare
    max_value=datetime(2060, 1, 1),  # noqa: DTZ001 - hypothesis wants its bounds bare
    timezones=st.just(UTC),
)
BILLINGS = st.builds(Billing, st.just(ALWAYS), st.integers(1, 28), st.sampled_from(ZONES))
MICROSECOND = timedelta(microseconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@given(MOMENTS, BILLINGS)
def test_periods_follow_one_another_without_gap_or_overlap(moment: datetime, billing: Billing) -> None:
    period = period_at(moment, [billing])
    assert period.start <= moment < period.end
    assert period_at(period.start, [billing]) == period_at(period.end - MICROSECOND, [billing]) == period
    assert period_at(period.end, [billing]).start == period.end
    assert period_at(period.start - MICROSECOND, [billing]).end == period.start
    assert timedelta(days=27, hours=22) <= period.end - period.start <= timedelta(days=31, hours=2)
    assert period.first_day.day == billing.anchor_day
    assert (period.last_day + timedelta(days=1)).day == billing.anchor_day


@given(MOMENTS, st.lists(BILLINGS, min_size=1, max_size=4), st.integers(0, 400))
def test_terms_that_change_leave_every_moment_in_one_period(
    moment: datetime, wanted: list[Billing], days: int
) -> None:
    terms: list[Billing] = []
    change = moment
    for billing in wanted:
        change += timedelta(days=days)
        since = period_at(change, terms).end
        terms = [one for one in terms if one.since < since] + [
            Billing(since, billing.anchor_day, billing.time_zone)
        ]
    assert period_at(moment, terms).start == period_at(moment).start  # what ran before stays as it was
    edge = period_at(moment, terms)
    for _ in range(8):
        following = period_at(edge.end, terms)
        assert following.start == edge.end < following.end
        assert period_at(edge.end - MICROSECOND, terms) == edge
        edge = following


@pytest.mark.parametrize(
    ("zone", "day", "now", "start", "end"),
    [
        (
            "Europe/Paris",
            1,
            "2026-03-15T12:00Z",
            "2026-02-28T23:00Z",
            "2026-03-31T22:00Z",
        ),  # summer time begins
        ("Europe/Paris", 1, "2026-10-31T23:00Z", "2026-10-31T23:00Z", "2026-11-30T23:00Z"),
        ("Europe/Paris", 28, "2026-03-28T22:59:59Z", "2026-03-27T23:00Z", "2026-04-27T22:00Z"),
        ("Asia/Kolkata", 15, "2026-03-14T18:29:59Z", "2026-02-14T18:30Z", "2026-03-14T18:30Z"),
        ("Asia/Kathmandu", 1, "2026-01-01T00:00Z", "2025-12-31T18:15Z", "2026-01-31T18:15Z"),
        (
            "America/New_York",
            1,
            "2027-01-01T04:59:59Z",
            "2026-12-01T05:00Z",
            "2027-01-01T05:00Z",
        ),  # the year's turn
        ("Pacific/Kiritimati", 1, "2026-12-31T10:00Z", "2026-12-31T10:00Z", "2027-01-31T10:00Z"),
        ("UTC", 28, "2028-02-28T00:00Z", "2028-02-28T00:00Z", "2028-03-28T00:00Z"),
        ("America/Santiago", 6, "2026-09-06T04:30Z", "2026-09-06T04:00Z", "2026-10-06T03:00Z"),  # no midnight
        (
            "America/Havana",
            1,
            "2026-11-01T04:30Z",
            "2026-11-01T04:00Z",
            "2026-12-01T05:00Z",
        ),  # midnight twice
    ],
)
def test_a_period_begins_at_midnight_of_its_zone(zone: str, day: int, now: str, start: str, end: str) -> None:
    period = period_at(at(now), [Billing(ALWAYS, day, zone)])
    assert (period.start, period.end) == (at(start), at(end))
    assert period.first_day == at(start).astimezone(ZoneInfo(zone)).date()


def test_a_change_ends_a_period_early_and_none_late() -> None:
    terms = [Billing(at("2026-04-01T00:00Z"), 15, "Asia/Kolkata"), Billing(at("2026-06-14T18:30Z"), 1, "UTC")]
    edges = ["2026-03-01T00:00Z", "2026-04-01T00:00Z", "2026-04-14T18:30Z", "2026-05-14T18:30Z",
             "2026-06-14T18:30Z", "2026-07-01T00:00Z", "2026-08-01T00:00Z"]  # fmt: skip
    for start, end in pairwise(edges):
        assert period_at(at(start), terms).end == at(end)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("2026-02", "2026-02-01T00:00Z"), ("2026-03", "2026-03-01T00:00Z"), ("2026-04", "2026-04-14T18:30Z"),
        ("2026-04-02", "2026-04-01T00:00Z"), ("2026-04-14", "2026-04-01T00:00Z"), ("2026-04-15", "2026-04-14T18:30Z"),
        ("2026-05", "2026-05-14T18:30Z"), ("2026-05-14", "2026-04-14T18:30Z"), ("2000-01", "2000-01-01T00:00Z"),
    ],
)  # fmt: skip
def test_a_period_can_be_named_by_its_month_or_by_one_of_its_days(name: str, start: str) -> None:
    terms = [Billing(at("2026-04-01T00:00Z"), 15, "Asia/Kolkata")]
    assert period_named(name, at("2026-06-01T00:00Z"), terms).start == at(start)


@pytest.mark.parametrize(
    "name",
    ["2026", "2026-13", "2026-00", "2026-2", "2026-02-30", "0000-01", "1999-12", "9999-12", "٢٠٢٦-٠٢", "2026-02 ",
     "2026-02\n", "-2026-02", "2026-W02", "2026-07-01", "2026-07", "x" * 10_000],
)  # fmt: skip
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(Problem) as raised:
        period_named(name, at("2026-06-01T00:00Z"))
    assert (raised.value.code, list(raised.value.details or {})) == ("invalid_parameter", ["period"])


def test_the_period_that_runs_may_be_named() -> None:
    assert period_named("2026-06", at("2026-06-01T00:00Z")) == Period(
        at("2026-06-01T00:00Z"), at("2026-07-01T00:00Z")
    )
