"""What the stores have counted, and the invariants that it must meet against what callers saw."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec
from load import Caller
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from shared.messages import METER_SHARDS, meter_account, meter_stream
from tests.faults.world import World

AGREE_S = 30.0
TOUCH_S = 1.0
POLL_S = 0.02
Touch = Callable[[], Awaitable[None]]
AWAY = (OSError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Counted(msgspec.Struct, frozen=True):
    """Calls and documents of one account."""

    calls: int = 0
    documents: int = 0


class Counts(msgspec.Struct, frozen=True):
    """By account: the ledger's, Redis's live counters, and the documents that there are."""

    ledger: Mapping[str, Counted]
    live: Mapping[str, Counted]
    documents: Mapping[str, int]
    undrained: int
    poison: int

    def agree(self) -> bool:
        """Redis and ledger have the same, and nothing is under way between them."""
        return self.undrained == 0 and self.live == self.ledger

    def documents_are_exact(self) -> bool:
        return all(self.ledger[account].documents == count for account, count in self.documents.items())


async def read_counts(world: World, callers: Sequence[Caller]) -> Counts:
    """Raises one of AWAY when a store is."""
    accounts = [caller.account_id for caller in callers]
    connection = await asyncpg.connect(world.postgres.url, timeout=5)
    try:
        async with world.meter() as redis:
            undrained = sum([await redis.xlen(meter_stream(shard)) for shard in range(METER_SHARDS)])
            poison = sum([await redis.xlen(f"{meter_stream(shard)}:poison") for shard in range(METER_SHARDS)])
            return Counts(
                await _ledger(connection, accounts),
                {account: await _live(redis, account) for account in accounts},
                await _documents(connection, accounts),
                undrained,
                poison,
            )
    finally:
        await connection.close()


async def _ledger(
    connection: "asyncpg.Connection[asyncpg.Record]", accounts: list[str]
) -> dict[str, Counted]:
    rows = await connection.fetch(
        """
        select account_id,
               coalesce(sum(amount) filter (where metric = 'api_calls'), 0)::bigint,
               coalesce(sum(amount) filter (where metric = 'documents'), 0)::bigint
        from metering.usage where account_id = any($1) group by account_id
        """,
        accounts,
    )
    return {account: Counted() for account in accounts} | {row[0]: Counted(row[1], row[2]) for row in rows}


async def _live(redis: Redis | RedisCluster, account: str) -> Counted:
    found: Any = await redis.execute_command("HMGET", meter_account(account), "calls_used", "docs_used")
    return Counted(int(found[0] or 0), int(found[1] or 0))


async def _documents(connection: "asyncpg.Connection[asyncpg.Record]", accounts: list[str]) -> dict[str, int]:
    rows = await connection.fetch(
        "select account_id, count(*) from api.documents where account_id = any($1) group by account_id",
        accounts,
    )
    return dict.fromkeys(accounts, 0) | {row[0]: row[1] for row in rows}


async def agreement(
    world: World, callers: Sequence[Caller], *, lost_max: int = 0, touch: Touch | None = None
) -> tuple[Counts, float]:
    """The counts once they agree and lack no call, and after how many seconds; or as they are after AGREE_S.

    An account whose counters are to be made anew gets them at its next call: now and then it is given one.
    """
    began = time.monotonic()
    touch_at = began + TOUCH_S
    counts: Counts | None = None
    while time.monotonic() - began < AGREE_S:
        with suppress(*AWAY):
            counts = await read_counts(world, callers)
            if counts.agree() and loss_of(counts, callers).lost <= lost_max:
                break
        if touch is not None and time.monotonic() >= touch_at:
            await touch()
            touch_at = time.monotonic() + TOUCH_S
        await asyncio.sleep(POLL_S)
    assert counts is not None
    return counts, time.monotonic() - began


class Loss(msgspec.Struct, frozen=True):
    """Over all accounts, each by itself: admitted and not counted; counted and never sent."""

    lost: int
    doubled: int


def loss_of(counts: Counts, callers: Sequence[Caller]) -> Loss:
    ledger = {caller.account_id: counts.ledger[caller.account_id].calls for caller in callers}
    lost = sum(max(0, caller.tally.admitted - ledger[caller.account_id]) for caller in callers)
    doubled = sum(max(0, ledger[caller.account_id] - caller.tally.possible) for caller in callers)
    return Loss(lost, doubled)


def faults_of(counts: Counts, callers: Sequence[Caller]) -> list[str]:
    """What else is not as promised, in words."""
    found = [] if counts.undrained == 0 else [f"{counts.undrained} entries are not drained"]
    found += [f"{counts.poison} entries were set aside"] if counts.poison else []
    for caller in callers:
        live, ledger = counts.live[caller.account_id], counts.ledger[caller.account_id]
        if live != ledger:
            found.append(f"{caller.account_id}: Redis has {live}, the ledger {ledger}")
        if caller.limit is not None and not _is_within(caller.limit, ledger.calls, caller):
            found.append(f"{caller.account_id}: {ledger.calls} admitted of {caller.limit}")
    return found


def _is_within(limit: int, calls: int, caller: Caller) -> bool:
    """Never more than the limit, and exactly that many by the time that a call is refused."""
    return calls == limit if caller.tally.refused else calls <= limit
