"""The one table of plans, an account's own limits on top of it, and the billing period; all of it pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.errors import Problem

# Beyond six million a minute the burst's interval would be too few microseconds to be exact.
Burst = Annotated[int, Meta(ge=1, le=6_000_000)]
Quota = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an account may use: calls a minute, and documents and calls a period; None is unlimited."""

    burst_per_min: int | None
    api_calls: int | None
    documents: int | None


class Overrides(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The cells in which an account differs from its plan; None is unlimited, unset is as the plan has it."""

    burst_per_min: Burst | UnsetType | None = UNSET
    api_calls: Quota | UnsetType | None = UNSET
    documents: Quota | UnsetType | None = UNSET


PLANS: Final[Mapping[str, Limits]] = {
    "free": Limits(documents=20, api_calls=500, burst_per_min=60),
    "starter": Limits(documents=200, api_calls=2_000, burst_per_min=300),
    "growth": Limits(documents=1_000, api_calls=10_000, burst_per_min=600),
    "scale": Limits(documents=20_000, api_calls=500_000, burst_per_min=6_000),
    "enterprise": Limits(documents=None, api_calls=None, burst_per_min=60_000),
}
DEFAULT_PLAN: Final = "free"


def check_terms(plan: str, overrides: Mapping[str, object]) -> Overrides:
    """The overrides as a value; raises validation_error with every broken field in its details."""
    broken = {f"overrides.{name}": why for name, cell in overrides.items() if (why := _broken(name, cell))}
    if plan not in PLANS:
        broken["plan"] = f"Must be one of {', '.join(PLANS)}"
    if broken:
        raise Problem("validation_error", f"These fields are not valid: {', '.join(broken)}", {**broken})
    return msgspec.convert(overrides, Overrides)


def _broken(name: str, cell: object) -> str | None:
    if name not in Overrides.__struct_fields__:
        return "Unknown field"
    try:
        msgspec.convert({name: cell}, Overrides)
    except msgspec.ValidationError as error:
        return str(error).partition(" - at ")[0]
    return None


def limits_of(plan: str, overrides: Overrides) -> Limits:
    """A plan that is no longer in the table counts as the free one."""
    cells = {name: cell for name, cell in msgspec.structs.asdict(overrides).items() if cell is not UNSET}
    return msgspec.structs.replace(PLANS.get(plan, PLANS[DEFAULT_PLAN]), **cells)


class Billing(msgspec.Struct, frozen=True):
    """From ``since`` on, periods begin on this day of the month (1 to 28), at midnight of this IANA time zone."""

    since: datetime
    anchor_day: int = 1
    time_zone: str = "UTC"


# What a query may ask for; far enough from the ends of time for every zone.
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
ANCHOR_DAY_MAX: Final = 28
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_PERIOD = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?", re.ASCII)
BY_DEFAULT: Final = Billing(datetime.min.replace(tzinfo=UTC))


class Period(msgspec.Struct, frozen=True):
    """A billing period from ``start`` up to, and without, ``end``, both UTC; its days are those of the time zone."""

    start: datetime
    end: datetime
    time_zone: str = "UTC"

    @property
    def first_day(self) -> date:
        return self.start.astimezone(ZoneInfo(self.time_zone)).date()

    @property
    def last_day(self) -> date:
        return (self.end - timedelta(microseconds=1)).astimezone(ZoneInfo(self.time_zone)).date()


def period_at(now: datetime, terms: Sequence[Billing] = ()) -> Period:
    """The period that ``now``, which must know its time zone, lies in.

    ``terms`` are the account's, oldest first; before the first, and without any, it is the calendar month in UTC. Where
    the terms change, one period ends and the next begins, so that every moment lies in exactly one.
    """
    billing = billing_at(now, terms)
    following = [other.since for other in terms if other.since > now]
    local = now.astimezone(ZoneInfo(billing.time_zone))
    month = local.year * 12 + local.month - 1
    if _month_start(month, billing) > now:
        month -= 1
    end = _month_start(month + 1, billing)
    return Period(
        max(_month_start(month, billing), billing.since),
        min(end, *following) if following else end,
        billing.time_zone,
    )


def billing_at(now: datetime, terms: Sequence[Billing]) -> Billing:
    """The terms in force."""
    return [billing for billing in (BY_DEFAULT, *terms) if billing.since <= now][-1]


def check_billing(anchor_day: object, time_zone: object) -> None:
    """Raises validation_error with every broken field in its details."""
    broken: dict[str, object] = {}
    if type(anchor_day) is not int or not 1 <= anchor_day <= ANCHOR_DAY_MAX:
        broken["billing.anchor_day"] = f"Must be a day that every month has: 1 to {ANCHOR_DAY_MAX}"
    if not isinstance(time_zone, str) or not _is_zone(time_zone):
        broken["billing.time_zone"] = "Must be an IANA time zone, such as Europe/Paris"
    if broken:
        raise Problem("validation_error", f"These fields are not valid: {', '.join(broken)}", broken)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return _ZONE.fullmatch(name) is not None


def period_named(name: str, now: datetime, terms: Sequence[Billing] = ()) -> Period:
    """The period that begins in a month such as 2026-02, the last such, or that has a day such as 2026-02-14.

    Raises invalid_parameter, also for a period that has not begun by ``now``.
    """
    found = _PERIOD.fullmatch(name)
    try:
        day = datetime(int(found[1]), int(found[2]), int(found[3] or 28), tzinfo=UTC) if found else None
    except ValueError:
        day = None
    if day is None or not EARLIEST <= day <= LATEST:
        raise bad_parameter("period", "Must be a month such as 2026-02, or a day such as 2026-02-14")
    zone = ZoneInfo(period_at(day, terms).time_zone)
    period = period_at(day.replace(tzinfo=zone), terms)
    if period.start > now:
        raise bad_parameter("period", "Has not begun yet")
    return period


def bad_parameter(name: str, sentence: str) -> Problem:
    return Problem("invalid_parameter", f"The parameter {name} is not valid: {sentence}", {name: sentence})


def _month_start(month: int, billing: Billing) -> datetime:
    """The period's first moment in the month of this number, counted from the year 0.

    Where the clocks leave midnight out, that is the moment at which they do; where they show it twice, the first.
    """
    midnight = datetime(month // 12, month % 12 + 1, billing.anchor_day, tzinfo=ZoneInfo(billing.time_zone))
    return midnight.astimezone(UTC)
