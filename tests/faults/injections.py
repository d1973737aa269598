"""The faults: each does its harm to a round's world, says when it is over, and leaves all processes running."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from proxy import Proxy, Trap
from redis.asyncio import Redis

from deploy.local.privileges import give_to_store_user
from shared.messages import METER_SHARDS, meter_account, meter_stream
from tests.faults.processes import Process
from tests.faults.rounds import Fault, Round
from tests.faults.world import World, process_of, until

DAY_S = 86_400
TRAP_S = 10.0
REFUSALS = 20
ADMIT, COMMIT, TRIM = b"invouno_admit_v1", b"COMMIT", b"XDEL"


def meter(world: World) -> Proxy:
    return world.meter_proxy


def ledger(world: World) -> Proxy:
    return world.ledger_proxy


def kill(*names: str, at_once: int = 1) -> Fault:
    """Kill -9 of some of these processes, and each started again a moment later."""

    async def fault(play: Round) -> None:
        victims = [process_of(play.world, name) for name in play.random.sample(names, at_once)]
        await asyncio.gather(*(asyncio.to_thread(victim.kill) for victim in victims))
        await play.pause(0, 0.3)
        await _restart(play, victims)

    return fault


def kill_any(*names: str) -> Fault:
    """One of them, or two at the same time."""

    async def fault(play: Round) -> None:
        await kill(*names, at_once=play.random.choice((1, 1, 2)))(play)

    return fault


def kill_at(name: str, proxy: Callable[[World], Proxy], needle: bytes, *, after: bool) -> Fault:
    """Kill -9 when a call with ``needle`` is about to reach its store, or has been executed and not been answered."""

    async def fault(play: Round) -> None:
        process, between = process_of(play.world, name), proxy(play.world)
        trap = between.arm(Trap(needle, after=after))
        try:
            async with asyncio.timeout(TRAP_S):
                await trap.sprung.wait()
            await asyncio.to_thread(process.kill)
        finally:
            between.disarm()
        await play.pause(0, 0.3)
        await _restart(play, [process])

    return fault


def stop_for(name: str, seconds: float) -> Fault:
    async def fault(play: Round) -> None:
        process = process_of(play.world, name)
        await asyncio.to_thread(process.stop)
        await asyncio.sleep(seconds)
        await _restart(play, [process])

    return fault


def freeze_for(name: str, seconds: float) -> Fault:
    async def fault(play: Round) -> None:
        process = process_of(play.world, name)
        process.freeze()
        await asyncio.sleep(seconds)
        process.thaw()
        play.over()

    return fault


async def kill_transaction(play: Round) -> None:
    """Kill -9 of the database process that has metering's transaction open; all of PostgreSQL starts anew by itself."""
    connection = await asyncpg.connect(play.world.postgres.url)
    try:
        await connection.execute("set application_name = 'faults'")
        async with asyncio.timeout(TRAP_S):
            pid = await _in_transaction(connection)
        os.kill(pid, signal.SIGKILL)
        play.over()
    finally:
        connection.terminate()


async def _in_transaction(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    while True:
        pid = await connection.fetchval(_IN_TRANSACTION)
        if pid is not None:
            return pid


_IN_TRANSACTION = """
select pid from pg_stat_activity
where application_name = 'invouno' and xact_start is not null and query like '%metering.%' limit 1
"""


def cut(proxy: Callable[[World], Proxy]) -> Fault:
    async def fault(play: Round) -> None:
        proxy(play.world).cut()
        await play.pause(0, 1)
        proxy(play.world).mend()
        play.over()

    return fault


def slow(proxy: Callable[[World], Proxy], delay_s: float, seconds: float) -> Fault:
    async def fault(play: Round) -> None:
        proxy(play.world).delay_s = delay_s
        await asyncio.sleep(seconds)
        proxy(play.world).mend()
        play.over()

    return fault


def lose_replies(proxy: Callable[[World], Proxy], *, hangs: bool) -> Fault:
    """Replies to what was executed: thrown away with their connections, or never sent."""

    async def fault(play: Round) -> None:
        between = proxy(play.world)
        between.hangs = hangs
        between.replies_to_lose = play.random.randint(1, 4)
        await play.pause(0.2, 0.6)
        between.mend()
        play.over()

    return fault


async def flush(play: Round) -> None:
    """FLUSHALL; what the streams held at that very moment may be lost."""
    async with Redis.from_url(play.world.valkey.url) as redis, redis.pipeline(transaction=True) as pipeline:
        for shard in range(METER_SHARDS):
            pipeline.xrange(meter_stream(shard))
        pipeline.flushall()
        *tails, _ = await pipeline.execute()
    play.may_lose = sum(_calls_in(tail) for tail in tails)
    play.over()


async def empty_node(play: Round) -> None:
    """Redis dies, and one without any data comes in its place."""
    await _replace_data(play, None)


async def older_data(play: Round) -> None:
    """Redis dies, and its append-only file of some moments before is put back."""
    await _replace_data(play, play.random.uniform(0.1, 1.0))


async def _replace_data(play: Round, age_s: float | None) -> None:
    world = play.world
    data, older = world.folder / "valkey" / "appendonlydir", world.folder / "older"
    if age_s is not None:
        shutil.rmtree(older, ignore_errors=True)
        await asyncio.to_thread(shutil.copytree, data, older)
        await asyncio.sleep(age_s)
    play.may_lose = await _tail_of_paused(world)
    await asyncio.to_thread(world.valkey.kill)
    await asyncio.to_thread(shutil.rmtree, data)
    if age_s is not None:
        await asyncio.to_thread(_put_back, older, data)
    await _restart(play, [world.valkey])


async def _tail_of_paused(world: World) -> int:
    """Let Redis execute no write any more; the calls that the streams still hold."""
    async with Redis.from_url(world.valkey.url) as redis:
        await _send(redis, "CLIENT PAUSE", 60_000, "WRITE")
        return sum([_calls_in(await redis.xrange(meter_stream(shard))) for shard in range(METER_SHARDS)])


def _calls_in(entries: Any) -> int:
    rows = [row for _, fields in entries for row in msgspec.msgpack.decode(fields[b"e"])[4]]
    return sum(amount for _, _, metric, amount in rows if metric == "api_calls")


def _put_back(older: Path, data: Path) -> None:
    shutil.copytree(older, data)
    give_to_store_user(data)


async def end_period(play: Round) -> None:
    """The accounts' period is made to have begun a month ago and to end in a moment: each is seeded anew under load."""
    accounts = [caller.account_id for caller in play.callers]
    async with Redis.from_url(play.world.valkey.url) as redis:
        await _each_ends_after(redis, accounts, 0)
        now_s: int = (await _send(redis, "TIME"))[0]
        for account in accounts:
            await _send(redis, "HSET", meter_account(account), "start", now_s - 30 * DAY_S, "end", now_s + 1)
        await asyncio.sleep(1)
        play.over()
        await _each_ends_after(redis, accounts, now_s + 1)


async def _each_ends_after(redis: Redis, accounts: Sequence[str], end_s: int) -> None:
    """Return when each account has counters of a period that ends later."""

    async def all_do() -> bool:
        ends = [await _send(redis, "HGET", meter_account(account), "end") for account in accounts]
        return all(int(end or 0) > end_s for end in ends)

    await until(all_do)


async def _send(redis: Redis, *parts: Any) -> Any:
    return await redis.execute_command(*parts)


async def use_up(play: Round) -> None:
    """The load goes on until every account is refused again and again."""

    async def all_are() -> bool:
        return all(caller.tally.refused >= REFUSALS for caller in play.callers)

    await until(all_are)
    play.over()


async def nothing(play: Round) -> None:
    await play.pause(1, 2)
    play.over()


async def _restart(play: Round, victims: Sequence[Process]) -> None:
    play.over()
    await asyncio.gather(*(asyncio.to_thread(victim.start) for victim in victims))
