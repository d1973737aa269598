"""A case of the suite and how it is played: load, fault, recovery, drain, and the check of every round."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec
from load import (
    CLIENT,
    CREATE,
    DOCUMENT,
    GONE,
    PDF,
    REFUSED,
    TEMPLATES,
    UPDATE,
    Caller,
    Kind,
    Load,
    open_line,
)

from tests.faults.counts import Counts, Loss, agreement, faults_of, loss_of, read_counts
from tests.faults.world import Setup, World, ready

READS = (TEMPLATES, TEMPLATES, TEMPLATES, DOCUMENT)
SERVED_S = 60.0
# Redis and ledger must agree within this of the recovery.
DRAINED_S_MAX = 5.0
# What a killed create reserved is given back by a sweep, after a minute at the latest.
DOCUMENTS_S_MAX = 80.0


class Round:
    """One playing of a fault: what it is done to, and when it was over."""

    def __init__(self, world: World, callers: Sequence[Caller], seed: str) -> None:
        self.world = world
        self.callers = callers
        self.seed = seed
        self.random = random.Random(seed)
        self.over_at = 0.0
        self.may_lose = 0

    def over(self) -> None:
        """From here on the product recovers."""
        self.over_at = time.monotonic()

    async def pause(self, least_s: float, most_s: float) -> None:
        await asyncio.sleep(self.random.uniform(least_s, most_s))


Fault = Callable[[Round], Awaitable[None]]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table. ``short`` of its rounds are played in the short form.

    ``limit`` is of the calls of each account, lowest and highest; accounts are new in each round when ``fresh``.
    """

    name: str
    rounds: int
    fault: Fault
    short: int = 0
    setup: Setup = Setup()
    kinds: tuple[Kind, ...] = READS
    accounts: int = 8
    lines: int = 12
    think_s: float = 0.03
    limit: tuple[int, int] | None = None
    fresh: bool = False


class Row(msgspec.Struct):
    """What came of a case; ``problems`` names every broken promise, with its round's seed."""

    fault: str
    rounds: int = 0
    sent: int = 0
    admitted: int = 0
    ledger: int = 0
    lost: int = 0
    doubled: int = 0
    may_lose: int = 0
    recovery_s: float = 0.0
    drained_s: float = 0.0
    problems: list[str] = msgspec.field(default_factory=list)


async def play(world: World, case: Case, rounds: int, seed: str) -> Row:
    await world.arrange(case.setup)
    row = Row(case.name)
    everyone: list[Caller] = []
    callers: list[Caller] = []
    before = Loss(0, 0)
    for number in range(rounds):
        round_seed = f"{seed}:{case.name}:{number}"
        if case.fresh or not callers:
            callers = await _callers(world, case, random.Random(round_seed))
            everyone += callers
            before = Loss(0, 0)
        before = await _play_round(row, case, Round(world, callers, round_seed), before)
    counts = await _settled(world, everyone) if CREATE in case.kinds else await read_counts(world, everyone)
    _sum_up(row, counts, everyone)
    return row


async def _callers(world: World, case: Case, chance: random.Random) -> list[Caller]:
    limits = [
        {"api_calls": chance.randint(*case.limit)} if case.limit else None for _ in range(case.accounts)
    ]
    callers = [await world.caller(limit) for limit in limits]
    if set(case.kinds) - {TEMPLATES}:
        await asyncio.gather(*(furnish(world.urls[0], caller) for caller in callers))
        await agreement(world, callers)  # so that no document is among what Redis loses
    return callers


async def furnish(gateway: str, caller: Caller) -> None:
    """A client and a document, by calls that count as any others."""
    line = await open_line(gateway)
    try:
        await line.call(caller, CLIENT)
        caller.client_id = msgspec.json.decode(line.body)["id"]
        await line.call(caller, CREATE)
        caller.document_id = msgspec.json.decode(line.body)["id"]
    finally:
        line.close()


async def _play_round(row: Row, case: Case, play: Round, before: Loss) -> Loss:
    load = Load(
        play.world.urls, play.callers, case.kinds, lines=case.lines, think_s=case.think_s, seed=play.seed
    )
    load.start()
    await play.pause(0.05, 0.4)
    await case.fault(play)
    await asyncio.gather(ready(play.world.metering_url), *_served(play, case))
    served_s = time.monotonic() - play.over_at
    await load.stop()
    counts, drained_s = await _agreement(play, before)
    row.rounds += 1
    row.may_lose += play.may_lose
    row.recovery_s = max(row.recovery_s, served_s + drained_s)
    row.drained_s = max(row.drained_s, drained_s)
    loss = loss_of(counts, play.callers)
    row.problems += [f"[{play.seed}] {problem}" for problem in _problems(counts, play, before, loss)]
    if drained_s > DRAINED_S_MAX:
        row.problems.append(f"[{play.seed}] drained after {drained_s:.1f} s")
    return loss


async def _agreement(play: Round, before: Loss) -> tuple[Counts, float]:
    async def touch() -> None:
        await asyncio.gather(*(_answered(play.world.urls[0], caller, TEMPLATES) for caller in play.callers))

    return await agreement(play.world, play.callers, lost_max=before.lost + play.may_lose, touch=touch)


def _served(play: Round, case: Case) -> list[Awaitable[None]]:
    """One call of every caller through every gateway."""
    waits = [_answered(url, caller, TEMPLATES) for url in play.world.urls for caller in play.callers]
    if PDF in case.kinds:
        waits += [_answered(play.world.urls[0], caller, UPDATE, PDF) for caller in play.callers]
    return [*waits]


async def _answered(gateway: str, caller: Caller, *kinds: Kind) -> None:
    """Return when all the calls were answered in a row; raises TimeoutError."""
    async with asyncio.timeout(SERVED_S):
        while True:
            with suppress(*GONE):
                line = await open_line(gateway)
                try:
                    statuses = [await line.call(caller, kind) for kind in kinds]
                finally:
                    line.close()
                if all(status < 300 or status in REFUSED for status in statuses):
                    return
            await asyncio.sleep(0.05)


def _problems(counts: Counts, play: Round, before: Loss, loss: Loss) -> list[str]:
    found = faults_of(counts, play.callers)
    if loss.lost > before.lost + play.may_lose:
        found.append(f"{loss.lost - before.lost} calls lost, {play.may_lose} were not drained yet")
    if loss.doubled > before.doubled:
        found.append(f"{loss.doubled - before.doubled} calls doubled")
    return found


async def _settled(world: World, callers: Sequence[Caller]) -> Counts:
    """The counts once no document is counted that is not there, or as they are after DOCUMENTS_S_MAX."""
    deadline = time.monotonic() + DOCUMENTS_S_MAX
    while True:
        counts = await read_counts(world, callers)
        if (counts.agree() and counts.documents_are_exact()) or time.monotonic() > deadline:
            return counts
        await asyncio.sleep(0.5)


def _sum_up(row: Row, counts: Counts, callers: Sequence[Caller]) -> None:
    row.sent = sum(caller.tally.sent for caller in callers)
    row.admitted = sum(caller.tally.admitted for caller in callers)
    row.ledger = sum(counts.ledger[caller.account_id].calls for caller in callers)
    loss = loss_of(counts, callers)
    row.lost, row.doubled = loss.lost, loss.doubled
    if broken := sum(caller.tally.statuses[500] for caller in callers):
        row.problems.append(f"{broken} calls were answered 500")
    for account, number in counts.documents.items():
        if (used := counts.ledger[account].documents) != number:
            row.problems.append(f"{account}: {used} documents used, {number} created")
