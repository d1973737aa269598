"""The one table of plans, an account's own limits on top of it, and the billing period; all of it pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

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


class Period(msgspec.Struct, frozen=True):
    """A billing period from ``start`` up to, and without, ``end``, both UTC."""

    start: datetime
    end: datetime

    @property
    def last_day(self) -> date:
        return (self.end - timedelta(days=1)).date()


def period_at(now: datetime) -> Period:
    """The calendar month, in UTC, that ``now`` lies in; ``now`` must know its time zone."""
    start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=32)).replace(day=1)
    return Period(start, end)
