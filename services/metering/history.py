"""Past usage as a chart needs it: an account's sums per hour, day or month, from the ledger.

Hours are those of UTC, days those of the account's billing time zone, months its billing periods. A row of the ledger
counts where it starts; it never spans two periods, so the days of a period add up to it exactly.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from services.metering.limits import EARLIEST, LATEST, Billing, Period, bad_parameter, period_at
from shared.postgres import Connection

Granularity = Literal["hour", "day", "month"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
# So that no answer has more than about ten thousand points.
RANGE_MAX = {"hour": timedelta(days=400), "day": timedelta(days=3660), "month": timedelta(days=3660)}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d))?", re.ASCII)
DOCUMENTED = ("documents", "api_calls")

Sums = list[dict[str, int]]


class Range(msgspec.Struct, frozen=True):
    """The starts of its buckets, and the end of the last one, without which it is."""

    granularity: Granularity
    edges: tuple[datetime, ...]


class History(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    account: str
    granularity: Granularity
    start: datetime
    end: datetime
    data: list[dict[str, Any]]


class Day(msgspec.Struct, frozen=True):
    date: date
    documents: int
    api_calls: int


def read_range(
    start: str | None, end: str | None, granularity: str, *, now: datetime, terms: Sequence[Billing]
) -> Range:
    """What a query asks for, widened to whole buckets; by default from the current period's start until now.

    A moment is RFC 3339, or a date, which is its midnight in the account's time zone. Raises invalid_parameter.
    """
    if granularity not in GRANULARITIES:
        raise bad_parameter("granularity", f"Must be one of {', '.join(GRANULARITIES)}")
    period = period_at(now, terms)
    first = period.start if start is None else _moment("from", start, period.time_zone)
    last = now if end is None else _moment("to", end, period.time_zone)
    if first >= last:
        raise bad_parameter("to", "Must be later than from")
    if last - first > RANGE_MAX[granularity]:
        raise bad_parameter("from", f"At most {RANGE_MAX[granularity].days} days by the {granularity}")
    return Range(granularity, tuple(_edges(first, last, granularity, terms)))


def days_of(period: Period, until: datetime) -> Range:
    """The days of a period that have begun by ``until``."""
    edges = [period.start]
    while edges[-1] < min(until, period.end):
        edges.append(min(_next_midnight(edges[-1], period.time_zone), period.end))
    return Range("day", tuple(edges))


async def read_history(connection: Connection, account_id: str, asked: Range) -> History:
    sums = await _read_sums(connection, account_id, asked)
    return History(
        account=account_id, granularity=asked.granularity, start=asked.edges[0], end=asked.edges[-1],
        data=[{"start": start, **each} for start, each in zip(asked.edges, sums, strict=False)],
    )  # fmt: skip


async def read_days(connection: Connection, account_id: str, asked: Range, time_zone: str) -> list[Day]:
    """Each day by its date in the time zone, with what the documented usage has."""
    sums = await _read_sums(connection, account_id, asked)
    zone = ZoneInfo(time_zone)
    return [
        Day(start.astimezone(zone).date(), each["documents"], each["api_calls"])
        for start, each in zip(asked.edges, sums, strict=False)
    ]


async def _read_sums(connection: Connection, account_id: str, asked: Range) -> Sums:
    """One for each bucket, all with the same metrics."""
    rows = await select_history(connection, account_id, asked.edges)
    names = dict.fromkeys((*DOCUMENTED, *sorted({metric for _, metric, _ in rows})), 0)
    sums = [dict(names) for _ in asked.edges[:-1]]
    for bucket, metric, amount in rows:
        sums[bucket - 1][metric] = amount
    return sums


async def select_history(
    connection: Connection, account_id: str, edges: Sequence[datetime]
) -> list[tuple[int, str, int]]:
    """(bucket, metric, amount), the buckets numbered from 1; those without usage are left out."""
    rows = await connection.fetch(
        """
        select width_bucket(hour, $2::timestamptz []) as bucket, metric, sum(amount)::bigint as amount
        from metering.usage
        where account_id = $1 and hour >= $3 and hour < $4
        group by bucket, metric
        """,
        account_id,
        edges[:-1],
        edges[0],
        edges[-1],
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _moment(name: str, text: str, time_zone: str) -> datetime:
    try:
        given = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:
        given = None
    if given is None:
        raise bad_parameter(
            name, "Must be a date such as 2026-02-28, or a moment such as 2026-02-28T09:30:00Z"
        )
    moment = given if given.tzinfo else given.replace(tzinfo=ZoneInfo(time_zone))
    if not EARLIEST <= moment <= LATEST:
        raise bad_parameter(name, f"Must lie between {EARLIEST.year} and {LATEST.year}")
    return moment.astimezone(UTC)


def _edges(
    first: datetime, last: datetime, granularity: Granularity, terms: Sequence[Billing]
) -> Iterator[datetime]:
    """From the start of the bucket that ``first`` lies in to the end of the one that ``last`` ends in."""
    edge = {"hour": _hour_start, "day": _day_start, "month": _period_start}[granularity](first, terms)
    yield edge
    while edge < last:
        edge = {"hour": _next_hour, "day": _next_day, "month": _next_period}[granularity](edge, terms)
        yield edge


def _hour_start(moment: datetime, _: Sequence[Billing]) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _next_hour(edge: datetime, _: Sequence[Billing]) -> datetime:
    return edge + timedelta(hours=1)


def _day_start(moment: datetime, terms: Sequence[Billing]) -> datetime:
    period = period_at(moment, terms)
    zone = ZoneInfo(period.time_zone)
    return max(_midnight(moment.astimezone(zone).date(), zone), period.start)


def _next_day(edge: datetime, terms: Sequence[Billing]) -> datetime:
    period = period_at(edge, terms)
    return min(_next_midnight(edge, period.time_zone), period.end)


def _period_start(moment: datetime, terms: Sequence[Billing]) -> datetime:
    return period_at(moment, terms).start


def _next_period(edge: datetime, terms: Sequence[Billing]) -> datetime:
    return period_at(edge, terms).end


def _next_midnight(moment: datetime, time_zone: str) -> datetime:
    zone = ZoneInfo(time_zone)
    return _midnight(moment.astimezone(zone).date() + timedelta(days=1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
