"""Events: usage that other services tell of, each counted once by its id, also when it is sent again.

An event joins the ledger and marks its account in one transaction; then Redis forgets the account's counters, so that
its next call is decided on all that the ledger knows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from services.metering.billing import select_billing_of
from services.metering.entries import Name
from services.metering.ledger import UsageRow, add_usage, delete_events, insert_events, upsert_dirty
from services.metering.limits import Billing, period_at
from shared.postgres import Connection

EVENTS_MAX = 10_000
EVENT_ID = r"^[\x21-\x7e]{1,255}\Z"
METRIC = r"^[a-z][a-z0-9_]{0,39}\Z"
# What a plan limits, and therefore what Redis has to know of.
LIMITED_METRICS = frozenset({"api_calls", "documents"})
AGE_MAX = timedelta(days=35)
AHEAD_MAX = timedelta(minutes=5)
# Longer than the oldest event that is taken, so that none is forgotten while it could still be sent again.
EVENTS_KEPT = AGE_MAX + timedelta(days=1)

EventId = Annotated[str, Meta(pattern=EVENT_ID)]
Metric = Annotated[str, Meta(pattern=METRIC)]


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``time`` is when it was used, by default now."""

    id: EventId
    account: Name
    metric: Metric
    amount: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    time: Annotated[datetime, Meta(tz=True)] | None = None


class Refused(msgspec.Struct, frozen=True):
    """Why the event at this place of the batch was not taken."""

    index: int
    message: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a batch were counted, how many the ledger had already, and what is wrong with the others."""

    accepted: int
    duplicates: int
    refused: list[Refused]


def read_events(given: Sequence[msgspec.Raw], now: datetime) -> tuple[list[Event], list[Refused]]:
    """The events that may be counted, and the others; one that is wrong spoils no other."""
    events: list[Event] = []
    refused: list[Refused] = []
    decoder = msgspec.json.Decoder(Event)
    for index, raw in enumerate(given):
        try:
            events.append(_timely(decoder.decode(raw), now))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            refused.append(Refused(index, str(error)))
    return events, refused


def _timely(event: Event, now: datetime) -> Event:
    if event.time is None:
        return msgspec.structs.replace(event, time=now)
    if event.time > now + AHEAD_MAX:
        raise ValueError(f"time: lies more than {AHEAD_MAX.seconds // 60} minutes ahead")
    if event.time < now - AGE_MAX:
        raise ValueError(f"time: lies more than {AGE_MAX.days} days back")
    return event


async def take_events(connection: Connection, events: Sequence[Event]) -> tuple[int, list[str]]:
    """Count those that the ledger lacks: how many they were, and the accounts that Redis is to forget."""
    by_id = {event.id: event for event in reversed(events)}
    async with connection.transaction():
        fresh = [by_id[event_id] for event_id in await insert_events(connection, sorted(by_id))]
        rows = _rows(fresh, await select_billing_of(connection, sorted({event.account for event in fresh})))
        if rows:
            await add_usage(connection, rows)
        dirty = sorted({row.account_id for row in rows if row.metric in LIMITED_METRICS})
        if dirty:
            await upsert_dirty(connection, dirty)
    return len(fresh), dirty


def _rows(events: Sequence[Event], terms: Mapping[str, Sequence[Billing]]) -> list[UsageRow]:
    sums: Counter[tuple[str, str, datetime]] = Counter()
    for event in events:
        assert event.time is not None  # noqa: S101 - read_events gives every event its time
        sums[event.account, event.metric, bucket_of(event.time, terms[event.account])] += event.amount
    return [UsageRow(*name, amount) for name, amount in sums.items() if amount]


def bucket_of(time: datetime, terms: Sequence[Billing] = ()) -> datetime:
    """The start of the ledger's row for this moment: its UTC hour, or its period where that starts later."""
    start = period_at(time, terms).start
    return max(start, time.astimezone(start.tzinfo).replace(minute=0, second=0, microsecond=0))


async def expire_events(connection: Connection, now: datetime) -> None:
    await delete_events(connection, before=now - EVENTS_KEPT)
