"""Many writers in one account and in many, numbers without gaps, and what a gateway takes by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count
from statistics import median

import asyncpg
import msgspec
from load import Caller

from tests.bench.footing import IDLE, STARTS, Footing, footing, many_files
from tests.bench.results import Report, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, generator, sliced
from tests.bench.stock import copied_drafts, insert_accounts, post_documents, request_body
from tests.bench.turns import Work, in_turns
from tests.faults.rounds import furnish
from tests.faults.world import Setup, World, opened_world

PATH = "/v1/documents"
ACCOUNTS = 64
CREATORS = 64
# More than can be sent in a slice.
DRAFTS = 3_000
SENDS_PER_S_MIN = 500
START_S_MAX = 1.0
LOADED_MB_MAX = 120.0
AGAINST = f"creating over {ACCOUNTS} accounts"
ONE, MANY = "one account", f"{ACCOUNTS} accounts"


class Numbers(msgspec.Struct, frozen=True):
    """Of an account's invoices in one year: how many have a number, and the highest."""

    amount: int
    highest: int


class Sends(msgspec.Struct, frozen=True):
    slices: Sequence[Slice]
    numbers: Numbers


async def measure() -> Report:
    with many_files():
        async with opened_world() as world:
            await world.arrange(Setup(gateways=1))
            one, many = await _callers(world)
            creates = await _creates(world, one, many)
            sends = await _sends(world, one)
            found = await footing(world, one)
    return _report(creates, sends, found)


async def _callers(world: World) -> tuple[Caller, list[Caller]]:
    connection = await asyncpg.connect(world.postgres.url)
    try:
        one, *many = await insert_accounts(connection, 1 + ACCOUNTS)
    finally:
        await connection.close()
    await post_documents(world.urls[0], one, 1)
    await asyncio.gather(*(furnish(world.urls[0], caller) for caller in many))
    return one, many


async def _creates(world: World, one: Caller, many: Sequence[Caller]) -> Mapping[str, Sequence[Slice]]:
    def creating(callers: Sequence[Caller]) -> Work:
        requests = [_creation(caller, number) for number, caller in enumerate(callers)]
        return lambda: sliced(Load(url=world.urls[0], requests=requests, connections=CREATORS))

    return await in_turns({ONE: creating([one] * ACCOUNTS), MANY: creating(many)}, turns=12, seconds_max=35)


def _creation(caller: Caller, number: int) -> Request:
    body = {**request_body(caller.client_id, number), "status": "draft"}
    return Request("POST", PATH, caller.key, msgspec.json.encode(body))


async def _sends(world: World, caller: Caller) -> Sends:
    first = count(step=DRAFTS)

    async def work() -> Slice:
        drafts = await copied_drafts(
            world.postgres.url, caller.account_id, caller.document_id, copies=DRAFTS, first=next(first)
        )
        body = b'{"status":"sent"}'
        requests = [Request("PUT", f"{PATH}/{draft}", caller.key, body) for draft in drafts]
        return await sliced(Load(url=world.urls[0], requests=requests))

    found = await in_turns({"sends": work}, turns=8, seconds_max=20)
    return Sends(found["sends"], await _numbers(world, caller.account_id))


async def _numbers(world: World, account_id: str) -> Numbers:
    """Once the last calls, which nobody waits for, are over."""
    await asyncio.sleep(1)
    connection = await asyncpg.connect(world.postgres.url)
    try:
        row = await connection.fetchrow(_SELECT_NUMBERS, account_id)
    finally:
        await connection.close()
    assert row
    return Numbers(*row)


_SELECT_NUMBERS = """
select count(number), max(substring(number, '[0-9]+$')::bigint)
from api.documents where account_id = $1 and number is not null
"""


def _report(
    creates: Mapping[str, Sequence[Slice]],
    sends: Sends,
    found: Footing,
) -> Report:
    ratios = [ours.per_s / theirs.per_s for ours, theirs in zip(creates[ONE], creates[MANY], strict=True)]
    result = result_of("create_one_account_vs_64", ratios, AGAINST)
    low, high = result.spread
    per_s, numbers = [each.per_s for each in sends.slices], sends.numbers
    text = f"""\
One gateway; slices of a second, in turns, by {generator()}.

| | calls a second, median | lowest to highest | p50 ms | p99 ms |
| --- | ---: | ---: | ---: | ---: |
{_line(f"creating in one account, {CREATORS} connections", creates[ONE])}\
{_line(f"creating over {ACCOUNTS} accounts, {CREATORS} connections", creates[MANY])}\
{_line(f"sending in one account, {CONNECTIONS} connections", sends.slices)}
Creating in one account against {ACCOUNTS}, of a turn: median {result.ratio:.2f}, from {low:.2f} to {high:.2f}.
Sending gave numbers to {numbers.amount:,} documents, and the highest is {numbers.highest:,}: there is {_gap(numbers)}.

A gateway by itself; the bounds are {START_S_MAX:.0f} s until it listens, and {LOADED_MB_MAX:.0f} MB after the load:

| | |
| --- | ---: |
| until it listens, median of {STARTS} starts | {median(found.starts_s):.2f} s |
| memory (PSS) when it has started and answered once | {found.fresh_mb:.0f} MB |
| the same with {IDLE:,} idle keep-alive connections | {found.connected_mb:.0f} MB |
| for each of these connections | {found.connection_kb:.1f} kB |
| memory of the gateway that all of the load above was on | {found.loaded_mb:.0f} MB |
"""
    missed = (*_missed(per_s, numbers), *_missed_footing(found))
    return Report("many writers, and what a gateway takes", text, (result,), missed)


def _missed(per_s: Sequence[float], numbers: Numbers) -> list[str]:
    missed: list[str] = []
    if median(per_s) < SENDS_PER_S_MIN:
        missed.append(f"{median(per_s):.0f} sends a second in one account; {SENDS_PER_S_MIN} is the least.")
    if numbers.amount != numbers.highest:
        missed.append(f"{numbers.amount:,} documents have numbers up to {numbers.highest:,}.")
    return missed


def _missed_footing(found: Footing) -> list[str]:
    missed: list[str] = []
    if (start_s := median(found.starts_s)) >= START_S_MAX:
        missed.append(f"A gateway listens after {start_s:.2f} s; {START_S_MAX:.0f} s is the most.")
    if found.loaded_mb >= LOADED_MB_MAX:
        missed.append(f"A loaded gateway takes {found.loaded_mb:.0f} MB; {LOADED_MB_MAX:.0f} is the most.")
    return missed


def _gap(numbers: Numbers) -> str:
    return "no gap" if numbers.amount == numbers.highest else "a gap"


def _line(words: str, slices: Sequence[Slice]) -> str:
    per_s = [each.per_s for each in slices]
    p50, p99 = median(each.p50_ms for each in slices), median(each.p99_ms for each in slices)
    spread = f"{min(per_s):,.0f} to {max(per_s):,.0f}"
    return f"| {words} | {median(per_s):,.0f} | {spread} | {p50:.1f} | {p99:.1f} |\n"
