"""When the meter is away: refuse, or let calls through and count each of them afterwards.

Calls that are let through have no limits meanwhile. Their sums go to metering as events, whose ids make a retry count
nothing twice; a gateway that is killed loses at most what it has let through since it last reached metering.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count

import msgspec
import structlog

from services.api.admission import Decision
from shared.errors import Problem

SEND_EVERY_S = 1.0
EVENTS_MAX = 10_000  # of one call
PENDING_MAX = 100_000
FRESH_S = 60.0
# Periods start at whole quarters of an hour, in any time zone, so that a sum lies in one period.
SLOT_S = 900

log = structlog.get_logger()

UNCOUNTED = Decision(
    granted=True, reason="", burst_limit=-1, burst_remaining=-1, burst_reset_ms=0, retry_after_ms=0, calls_limit=-1,
    calls_used=0, documents_limit=-1, documents_used=0, period_start_s=0, period_end_s=0, uncounted=True,
)  # fmt: skip


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """As metering takes it; without ``time`` it counts as of now, whatever this process's clock says."""

    id: str
    account: str
    metric: str
    amount: int
    time: datetime | None = None


class Pending(msgspec.Struct, frozen=True):
    event: Event
    slot_s: int
    closed_s: float

    def as_of(self, now_s: float) -> Event:
        if now_s - self.closed_s < FRESH_S:
            return self.event
        return msgspec.structs.replace(self.event, time=datetime.fromtimestamp(self.slot_s, UTC))


class OpenCalls:
    """``allowed`` is the operator's choice; ``send`` takes events, raising a Problem unless all were taken."""

    def __init__(self, send: Callable[[Sequence[Event]], Awaitable[None]], *, allowed: bool) -> None:
        self._send = send
        self._allowed = allowed
        self._producer = secrets.token_hex(8)
        self._numbers = count(1)
        self._sums: Counter[tuple[str, str, int]] = Counter()
        self._pending: list[Pending] = []

    def may_open(self) -> bool:
        """Whether a call may be let through; what is still to be counted is bounded."""
        return self._allowed and len(self._pending) + len(self._sums) < PENDING_MAX

    def owe(self, account_id: str, metric: str, amount: int = 1) -> None:
        """So many more are to be counted."""
        self._sums[account_id, metric, int(time.time()) // SLOT_S * SLOT_S] += amount

    async def keep_sending(self) -> None:
        """Run for as long as the gateway lives."""
        while True:
            await asyncio.sleep(SEND_EVERY_S)
            await self.send_all()

    async def send_all(self) -> None:
        """Send what is owed; what metering does not take stays owed, under the same ids."""
        self._close_sums()
        try:
            while self._pending:
                batch = self._pending[:EVENTS_MAX]
                await self._send([pending.as_of(time.monotonic()) for pending in batch])
                del self._pending[: len(batch)]
        except Problem as problem:
            log.warning("open_calls_not_counted_yet", sums=len(self._pending), cause=str(problem.__cause__))

    def _close_sums(self) -> None:
        sums, self._sums = self._sums, Counter()
        now_s = time.monotonic()
        for (account_id, metric, slot_s), amount in sums.items():
            event_id = f"{self._producer}:open:{next(self._numbers)}"
            self._pending.append(Pending(Event(event_id, account_id, metric, amount), slot_s, now_s))
