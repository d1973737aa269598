"""Admission: every request asks the meter in Redis before it does anything, one call a tick for all that wait.

What is asked and answered is the contract of metering's function; deciding and counting happen there, atomically.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from services.api.meter import Meter
from shared.errors import Problem
from shared.messages import (
    ADMIT_FUNCTION,
    METER_SHARDS,
    meter_account,
    meter_producer,
    meter_shard,
    meter_stream,
)

DECIDED, SEED_NEEDED = 0, 1
REASONS = ("", "burst", "api_calls", "documents")
ATTEMPTS_MAX = 3
ITEMS_MAX = 1_000  # of one call of the function
SETTLE_WITHIN_S = 0.5
# Accounts that were refused a moment ago are remembered, so many and for so long.
REFUSED_MAX = 10_000
REFUSED_S_MAX = 60.0
NO_KEY = -1
_RESERVED = 10  # absent where the function library knows of no reservations
_NO_FUNCTION = [SEED_NEEDED, 0, 0] + [0] * 10


class MeterAwayError(Problem):
    """The meter is known to be away, and was not asked: surely nothing was counted."""

    def __init__(self) -> None:
        super().__init__("unavailable", "Calls cannot be counted right now; try again", retry_after_s=1)


class StaleGenerationError(Exception):
    """The key record that was used may be older than the account: it must be loaded anew.

    ``unseeded``: the meter knows no generation that it may trust, and is to be seeded with the one then loaded.
    """

    def __init__(self, *, unseeded: bool) -> None:
        super().__init__()
        self.unseeded = unseeded


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Admitted or not, why not, and the state of the account's limits; a limit of -1 is unlimited."""

    granted: bool
    reason: str
    burst_limit: int
    burst_remaining: int
    burst_reset_ms: int
    retry_after_ms: int
    calls_limit: int
    calls_used: int
    documents_limit: int
    documents_used: int
    period_start_s: int
    period_end_s: int
    reserved: bool = False
    """Whether the meter keeps a reservation, which is to be settled or released by its name."""
    uncounted: bool = False
    """Whether the call was let through without the meter, and is to be counted afterwards."""


class Question(msgspec.Struct, frozen=True):
    """Requests that ask alike are asked together; ``calls`` and ``documents`` are what each of them costs.

    ``period_start_s`` is the period that documents are given back to; 0 is the current one. ``reservation`` is the id
    of the one document that is asked about, so that no two are ever asked together; with a ``size`` it is the name of a
    block of so many documents.
    """

    account_id: str
    generation: int
    calls: int
    documents: int
    period_start_s: int = 0
    reservation: str = ""
    size: int = 0


Waiting = dict[Question, list["asyncio.Future[Sequence[int]]"]]


class Admission:
    def __init__(self, meter: Meter, seed: Callable[[str, int | None], Awaitable[None]]) -> None:
        self.seed = seed
        self._meter = meter
        self._producer = secrets.token_hex(8)
        self._sequences = [0] * METER_SHARDS
        self._waiting: Waiting = {}
        self._flight: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._refused_until_s: dict[str, float] = {}

    async def admit(
        self,
        account_id: str,
        generation: int,
        *,
        calls: int,
        documents: int,
        reservation: str = "",
        size: int = 0,
    ) -> Decision:
        """Decide and count; raises StaleGenerationError, MeterAwayError where the meter was not asked, or unavailable.

        ``reservation`` is the id of the one document that is asked for, to be settled or released afterwards; or the
        name of a block, whose ``size`` is all the documents that are asked for, granted whole or not at all.
        """
        question = Question(account_id, generation, calls, documents, reservation=reservation, size=size)
        return self.decision(account_id, await self._ask(question))

    def begin(self, account_id: str, generation: int) -> "asyncio.Future[Sequence[int]]":
        """Ask for one call, whose ``decision`` is made of the reply; raises MeterAwayError, and so may the reply."""
        return self._ask(Question(account_id, generation, 1, 0))

    def decision(self, account_id: str, reply: Sequence[int]) -> Decision:
        """Raises StaleGenerationError."""
        status, *rest = reply
        if status != DECIDED:
            raise StaleGenerationError(unseeded=status == SEED_NEEDED)
        decision = _decision(rest)
        if not decision.granted:
            self._note_refusal(account_id, decision.retry_after_ms)
        return decision

    def has_room(self, account_id: str) -> bool:
        """Whether a call of the account is likely to be admitted, by whether one was refused a moment ago."""
        return self._refused_until_s.get(account_id, 0) < time.monotonic()

    def _note_refusal(self, account_id: str, retry_after_ms: int) -> None:
        if len(self._refused_until_s) >= REFUSED_MAX:
            self._refused_until_s.clear()
        self._refused_until_s[account_id] = time.monotonic() + min(retry_after_ms / 1000, REFUSED_S_MAX)

    def settle(self, account_id: str, reservation: str, *, period_start_s: int, size: int = 0) -> None:
        """Say that all is there, with the next batch or soon; what gets lost is settled by the sweep."""
        question = Question(account_id, NO_KEY, 0, 0, period_start_s, reservation, size)
        self._waiting.setdefault(question, [])
        if self._flight is None and self._later is None:
            self._later = asyncio.get_running_loop().call_later(SETTLE_WITHIN_S, self._take_off)

    async def release(
        self,
        account_id: str,
        *,
        period_start_s: int,
        reservation: str = "",
        documents: int = 1,
        size: int = 0,
    ) -> None:
        """Give back documents that were admitted in that period and then not created; a block's others are there."""
        question = Question(account_id, NO_KEY, 0, -documents, period_start_s, reservation, size)
        for _ in range(ATTEMPTS_MAX):
            status, *_rest = await self._ask(question)
            if status == DECIDED:
                return
            await self.seed(account_id, None)
        raise _unavailable()

    async def finish(self) -> None:
        """Send what waits, before the process ends."""
        self._take_off()
        if self._flight is not None:
            await self._flight

    async def ping(self) -> None:
        await self._meter.ping()

    def _ask(self, question: Question) -> "asyncio.Future[Sequence[int]]":
        if self._meter.is_away(meter_shard(question.account_id)):
            raise MeterAwayError
        future: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(question, []).append(future)
        self._take_off()
        return future

    def _take_off(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._flight is None and self._waiting:
            self._flight = asyncio.create_task(self._fly())

    async def _fly(self) -> None:
        """Send what waits, and then what came to wait meanwhile, until nothing does."""
        try:
            while self._waiting:
                batch = {question: self._waiting[question] for question in islice(self._waiting, ITEMS_MAX)}
                for question in batch:
                    del self._waiting[question]
                await self._send(batch)
        finally:
            self._flight = None

    async def _send(self, batch: Waiting) -> None:
        by_shard: dict[int, list[Question]] = {}
        for question in batch:
            by_shard.setdefault(meter_shard(question.account_id), []).append(question)
        commands = {shard: self._command(shard, asked, batch) for shard, asked in by_shard.items()}
        for shard, reply in (await self._meter.call(commands)).items():
            questions = by_shard[shard]
            for question, item in zip(questions, _items(reply.value, len(questions)), strict=True):
                _answer(batch[question], _certain(item) if reply.repeated else item)
        self._turn_away()

    def _turn_away(self) -> None:
        """Those who wait for a shard that has gone away meanwhile were not asked for, and are told so at once."""
        away = [
            question for question in self._waiting if self._meter.is_away(meter_shard(question.account_id))
        ]
        for future in (future for question in away for future in self._waiting.pop(question)):
            if not future.done():
                future.set_exception(MeterAwayError())

    def _command(self, shard: int, questions: list[Question], batch: Waiting) -> list[Any]:
        self._sequences[shard] += 1
        keys = [meter_stream(shard), meter_producer(shard, self._producer)]
        arguments: list[Any] = [self._producer, self._sequences[shard]]
        width = max(map(_width, questions))
        for question in questions:
            keys.append(meter_account(question.account_id))
            arguments += _item(question, len(batch[question]))[:width]
        return [ADMIT_FUNCTION, len(keys), *keys, *arguments]


def _width(question: Question) -> int:
    """How much of its item matters; all of a call's are of one width."""
    if question.size:
        return 7
    return 6 if question.reservation else 5


def _item(question: Question, count: int) -> tuple[Any, ...]:
    """A question as the function reads it; the end of a block is about no request."""
    reservation, block = question.reservation, ""
    if question.size:
        count = 1 if question.documents > 0 else 0
        reservation, block = "", f"{reservation}:{question.size}"
    elif reservation:
        count = 1
    costs = (question.calls, question.documents, question.period_start_s)
    return (question.generation, count, *costs, reservation, block)


def _items(reply: Any, count: int) -> list[Any]:
    """What each of a call's questions was answered: the function's numbers, or an error."""
    if isinstance(reply, ResponseError) and "function not found" in str(reply).lower():
        return [_NO_FUNCTION] * count
    return [reply] * count if isinstance(reply, Exception) else reply


def _certain(item: Any) -> Any:
    """An answer to a call whose first reply was lost.

    A meter that decides nothing now may have counted then and lost its data since: to ask anew could count twice.
    """
    return item if isinstance(item, Exception) or item[0] == DECIDED else _unavailable()


def _answer(waiting: "list[asyncio.Future[Sequence[int]]]", item: Any) -> None:
    """Give each waiting request its share: the first ``granted`` of those that asked alike are admitted."""
    for place, future in enumerate(waiting):
        if future.done():
            continue
        if isinstance(item, Exception):
            future.set_exception(_unavailable(item))
            continue
        status, granted, *rest = item
        future.set_result((status, place < granted, *rest))


def _decision(reply: list[int]) -> Decision:
    granted, reason, *state = reply
    return Decision(
        granted=bool(granted),
        reason=REASONS[reason],
        burst_limit=state[0],
        burst_remaining=state[1],
        burst_reset_ms=state[2],
        retry_after_ms=state[3],
        calls_limit=state[4],
        calls_used=state[5],
        documents_limit=state[6],
        documents_used=state[7],
        period_start_s=state[8],
        period_end_s=state[9],
        reserved=len(state) > _RESERVED and state[_RESERVED] == 1,
    )


def _unavailable(cause: Exception | None = None) -> Problem:
    problem = Problem("unavailable", "Calls cannot be counted right now; try again", retry_after_s=1)
    problem.__cause__ = cause
    return problem
