"""History from the ledger: whole buckets, in the account's time zone, that add up to the period."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.metering.history import Day, Range, days_of, read_days, read_history, read_range
from services.metering.ledger import UsageRow, add_usage
from services.metering.limits import Billing, period_at
from services.metering.stores import Stores
from shared.errors import Problem
from tests.services.metering.conftest import ACCOUNT

NOW = datetime(2026, 3, 15, 12, 34, 56, tzinfo=UTC)
ALWAYS = datetime(1980, 1, 1, tzinfo=UTC)
KOLKATA = [Billing(ALWAYS, 15, "Asia/Kolkata")]
PARIS = [Billing(ALWAYS, 1, "Europe/Paris")]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def asked(start: str | None, end: str | None, granularity: str, terms: Sequence[Billing] = ()) -> list[str]:
    found = read_range(start, end, granularity, now=NOW, terms=terms)
    return [edge.isoformat().removesuffix(":00+00:00") for edge in found.edges]


def test_a_range_is_widened_to_whole_buckets() -> None:
    assert asked("2026-03-01T10:20:30Z", "2026-03-01T12:00:01Z", "hour") == [
        "2026-03-01T10:00", "2026-03-01T11:00", "2026-03-01T12:00", "2026-03-01T13:00",
    ]  # fmt: skip
    assert asked("2026-03-01T10:20:30Z", "2026-03-02T00:00:00Z", "day") == [
        "2026-03-01T00:00",
        "2026-03-02T00:00",
    ]
    assert asked("2025-12-31", "2026-02-01", "month") == [
        "2025-12-01T00:00", "2026-01-01T00:00", "2026-02-01T00:00",
    ]  # fmt: skip


def test_by_default_it_is_the_current_period_until_now() -> None:
    days = asked(None, None, "day")
    assert (days[0], days[-1], len(days)) == ("2026-03-01T00:00", "2026-03-16T00:00", 16)
    assert asked(None, None, "month", KOLKATA) == ["2026-03-14T18:30", "2026-04-14T18:30"]


def test_a_date_and_a_day_are_those_of_the_time_zone() -> None:
    assert asked("2026-03-28", "2026-03-31", "day", PARIS) == [
        "2026-03-27T23:00", "2026-03-28T23:00", "2026-03-29T22:00", "2026-03-30T22:00",
    ]  # fmt: skip
    assert len(asked("2026-10-25", "2026-10-26", "hour", PARIS)) == 25 + 1
    assert asked("2026-03-14", "2026-03-16", "day", KOLKATA) == [
        "2026-03-13T18:30", "2026-03-14T18:30", "2026-03-15T18:30",
    ]  # fmt: skip


def test_a_day_that_a_zone_left_out_or_whose_midnight_it_did_has_one_start() -> None:
    apia = [Billing(ALWAYS, 1, "Pacific/Apia")]
    assert asked("2011-12-29", "2012-01-01", "day", apia) == [
        "2011-12-29T10:00", "2011-12-30T10:00", "2011-12-31T10:00",
    ]  # fmt: skip
    santiago = [Billing(ALWAYS, 1, "America/Santiago")]
    assert asked("2026-09-05", "2026-09-08", "day", santiago) == [
        "2026-09-05T04:00", "2026-09-06T04:00", "2026-09-07T03:00", "2026-09-08T03:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "granularity", "field"),
    [
        (None, None, "week", "granularity"), (None, None, "", "granularity"), (None, None, "Day", "granularity"),
        ("yesterday", None, "day", "from"), ("2026-02-30", None, "day", "from"), ("2026-W09-6", None, "day", "from"),
        ("20260228", None, "day", "from"), ("2026-02-28T10:00:00", None, "day", "from"), ("", None, "day", "from"),
        ("2026-03-01", "2026-03-01", "day", "to"), ("2026-03-02", "2026-03-01", "day", "to"),
        ("2026-03-16", None, "day", "to"), ("0001-01-01T00:00:00+14:00", None, "day", "from"),
        ("1999-12-31", "2000-01-02", "hour", "from"), ("2026-03-01", "9999-12-31T23:59:59-14:00", "day", "to"),
        ("2025-01-01", "2026-02-06", "hour", "from"), ("2015-01-01", "2026-01-01", "day", "from"),
        ("2015-01-01", "2026-01-01", "month", "from"), ("x" * 10_000, None, "day", "from"),
        ("2026-03-01T00:00:00+99:00", None, "day", "from"), ("2026-03-01T25:00:00Z", None, "day", "from"),
    ],
)  # fmt: skip
def test_a_bad_range_is_told(start: str | None, end: str | None, granularity: str, field: str) -> None:
    with pytest.raises(Problem) as raised:
        asked(start, end, granularity)
    assert (raised.value.code, list(raised.value.details or {})) == ("invalid_parameter", [field])


def test_the_widest_ranges_are_bounded() -> None:
    assert len(asked("2025-01-01", "2026-02-05", "hour")) == 400 * 24 + 1
    assert len(asked("2016-01-01", "2026-01-08", "day")) == 3660 + 1
    assert len(asked("2016-01-01", "2026-01-08", "month")) == 122


def test_a_period_has_its_days_that_have_begun() -> None:
    period = period_at(NOW)
    assert len(days_of(period, NOW).edges) == 15 + 1
    assert len(days_of(period, period.end + timedelta(days=400)).edges) == 31 + 1
    assert days_of(period, period.start) == Range("day", (period.start,))


async def given_usage(meter: Stores, *rows: tuple[str, str, int], account: str = ACCOUNT) -> None:
    async with meter.pool.acquire() as connection:
        await add_usage(
            connection, [UsageRow(account, metric, at(hour), amount) for hour, metric, amount in rows]
        )


async def told(meter: Stores, asked_for: Range) -> list[dict[str, Any]]:
    async with meter.pool.acquire() as connection:
        return (await read_history(connection, ACCOUNT, asked_for)).data


async def test_a_bucket_has_its_sums_and_zeros_where_there_was_nothing(meter: Stores) -> None:
    await given_usage(
        meter, ("2026-03-01T10:00Z", "api_calls", 3), ("2026-03-01T23:00Z", "api_calls", 4),
        ("2026-03-02T00:00Z", "documents", 5), ("2026-03-02T01:00Z", "pages", 6), ("2026-02-28T23:00Z", "api_calls", 9),
        ("2026-03-04T00:00Z", "api_calls", 9),
    )  # fmt: skip
    await given_usage(meter, ("2026-03-01T10:00Z", "api_calls", 100), account="acct_two")
    days = read_range("2026-03-01", "2026-03-04", "day", now=NOW, terms=())
    assert await told(meter, days) == [
        {"start": at("2026-03-01T00:00Z"), "documents": 0, "api_calls": 7, "pages": 0},
        {"start": at("2026-03-02T00:00Z"), "documents": 5, "api_calls": 0, "pages": 6},
        {"start": at("2026-03-03T00:00Z"), "documents": 0, "api_calls": 0, "pages": 0},
    ]


async def test_days_of_a_half_hour_zone_add_up_to_its_period(meter: Stores) -> None:
    """The hour in which a period begins has two rows, and each counts on its side."""
    await given_usage(
        meter, ("2026-03-14T18:00Z", "api_calls", 1), ("2026-03-14T18:30Z", "api_calls", 2),
        ("2026-03-14T19:00Z", "api_calls", 4), ("2026-04-14T18:00Z", "api_calls", 8),
        ("2026-04-14T18:30Z", "api_calls", 16),
    )  # fmt: skip
    period = period_at(NOW + timedelta(days=1), KOLKATA)
    async with meter.pool.acquire() as connection:
        days = await read_days(connection, ACCOUNT, days_of(period, period.end), "Asia/Kolkata")
    assert days[0] == Day(date(2026, 3, 15), 0, 6)
    assert days[-1] == Day(date(2026, 4, 14), 0, 8)
    assert (len(days), sum(day.api_calls for day in days)) == (31, 14)
    months = read_range("2026-03-15", "2026-05-15", "month", now=NOW, terms=KOLKATA)
    assert [one["api_calls"] for one in await told(meter, months)] == [14, 16]


async def test_ten_thousand_hours_are_told_at_once(meter: Stores) -> None:
    await given_usage(meter, ("2025-01-01T00:00Z", "api_calls", 1), ("2026-02-04T23:00Z", "api_calls", 2))
    hours = read_range("2025-01-01", "2026-02-05", "hour", now=NOW, terms=())
    data = await told(meter, hours)
    assert (len(data), data[0]["api_calls"], data[-1]["api_calls"]) == (9_600, 1, 2)
