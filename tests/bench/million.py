"""A million calls over ten thousand accounts, each counted: whether the drain keeps up and Redis stays as it is."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

import asyncpg
import msgspec
from load import TEMPLATES, Caller, Line, open_line
from redis.asyncio import Redis

from services.api.auth import hash_key, new_key
from services.api.store.ids import new_id
from shared.messages import METER_SHARDS, meter_stream
from tests.faults.counts import agreement, loss_of
from tests.faults.world import Setup, World, opened_world

CALLS = 1_000_000
ACCOUNTS = 10_000
GATEWAYS = 2
LINES = 64
SAMPLE_S = 1.0
# When every account has been called some times and has its counters in Redis.
WARM_SHARE = 0.1


class Sample(msgspec.Struct, frozen=True):
    """``waiting`` is how many entries the streams held."""

    calls: int
    waiting: int
    used_bytes: int


class Volume(msgspec.Struct, frozen=True):
    """What a run showed; ``samples`` are of Redis, one a second."""

    admitted: int
    other: int
    ledger: int
    differing: int
    seconds: float
    drained_s: float
    samples: tuple[Sample, ...]

    def text(self) -> str:
        warm = next(sample for sample in self.samples if sample.calls >= WARM_SHARE * CALLS)
        waiting = max(sample.waiting for sample in self.samples)
        return f"""\
`make bench ARGS=million`: calls for {ACCOUNTS:,} accounts, one after the other, through {GATEWAYS} gateways and {LINES}
connections of our own asyncio client, in {self.seconds:,.0f} s ({self.admitted / self.seconds:,.0f} a second).

| | |
| --- | ---: |
| admitted | {self.admitted:,} |
| ended otherwise | {self.other:,} |
| in the ledger | {self.ledger:,} |
| accounts whose ledger, Redis and callers differ | {self.differing:,} |
| entries that waited for the ledger, at most | {waiting:,} |
| drained after the last call | {self.drained_s:.1f} s |
| Redis's memory after a tenth of the calls | {warm.used_bytes / 2**20:.1f} MB |
| at the end | {self.samples[-1].used_bytes / 2**20:.1f} MB |
"""

    def is_exact(self) -> bool:
        return self.admitted == self.ledger and self.differing == 0


async def measure() -> Volume:
    async with opened_world() as world:
        await world.arrange(Setup(gateways=GATEWAYS))
        callers = await _callers(world)
        samples: list[Sample] = []
        began = time.monotonic()
        async with _sampling(world, callers, samples):
            calls = iter(range(CALLS))
            await asyncio.gather(
                *(_call(world.urls[at % GATEWAYS], callers[at::LINES], calls) for at in range(LINES))
            )
        seconds = time.monotonic() - began
        counts, drained_s = await agreement(world, callers)
    loss = loss_of(counts, callers)
    tallies = [caller.tally for caller in callers]
    differing = sum(counts.live[account] != counts.ledger[account] for account in counts.ledger)
    return Volume(
        admitted=sum(tally.admitted for tally in tallies),
        other=sum(tally.sent - tally.admitted for tally in tallies),
        ledger=sum(counted.calls for counted in counts.ledger.values()),
        differing=differing + loss.lost + loss.doubled,
        seconds=seconds,
        drained_s=drained_s,
        samples=tuple(samples),
    )


async def _call(gateway: str, callers: Sequence[Caller], calls: Iterator[int]) -> None:
    """One connection: one call after the other, for one of its accounts after the other, until all are taken."""
    line: Line = await open_line(gateway)
    for caller, _ in zip(cycle(callers), calls, strict=False):
        await line.call(caller, TEMPLATES)
    line.close()


@asynccontextmanager
async def _sampling(world: World, callers: Sequence[Caller], samples: list[Sample]) -> AsyncGenerator[None]:
    task = asyncio.create_task(_sample(world, callers, samples))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sample(world: World, callers: Sequence[Caller], samples: list[Sample]) -> None:
    async with Redis.from_url(world.valkey.url) as redis:
        while True:
            waiting = sum([await redis.xlen(meter_stream(shard)) for shard in range(METER_SHARDS)])
            memory = await redis.info("memory")
            calls = sum(caller.tally.sent for caller in callers)
            samples.append(Sample(calls, waiting, memory["used_memory"]))
            await asyncio.sleep(SAMPLE_S)


async def _callers(world: World) -> list[Caller]:
    """All at once by SQL: one by one they would take longer than the calls."""
    callers = [Caller(new_id("acct"), new_key()) for _ in range(ACCOUNTS)]
    accounts = [caller.account_id for caller in callers]
    connection = await asyncpg.connect(world.postgres.url)
    try:
        await connection.execute(_INSERT_ACCOUNTS, accounts)
        await connection.execute(_INSERT_PLANS, accounts)
        keys = [hash_key(caller.key) for caller in callers]
        await connection.execute(_INSERT_KEYS, [new_id("key") for _ in callers], accounts, keys)
    finally:
        await connection.close()
    return callers


_INSERT_ACCOUNTS = """
insert into api.accounts (id, name, currency, template, time_zone, profile)
select id, 'Studio', 'USD', 'clean', 'UTC', '{}' from unnest($1::text []) as given (id)
"""
_INSERT_PLANS = """
insert into metering.accounts (account_id, plan) select id, 'enterprise' from unnest($1::text []) as given (id)
"""
_INSERT_KEYS = """
insert into api.keys (id, account_id, hash, scopes)
select id, account_id, hash, array['documents:read']
from unnest($1::text [], $2::text [], $3::bytea []) as given (id, account_id, hash)
"""
