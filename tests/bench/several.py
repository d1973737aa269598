"""One, two and four gateways: how far calls grow with them, and what a call costs whom."""

import asyncio
import os
import resource
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from statistics import median

import msgspec
import psutil
from load import Caller

from deploy.local.store import free_port
from tests.bench.contenders import LIMITS, listening
from tests.bench.results import Report, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, generator, pinned_core, sliced
from tests.bench.stock import post_documents
from tests.bench.turns import in_turns
from tests.faults.processes import Service
from tests.faults.world import Setup, World, opened_world

GATEWAYS = (1, 2, 4)
# Of a gateway that runs for one of as many equal times, and is stopped in the others.
PARTS = 4
PART_S = 0.005
GATEWAY, DATABASE, OTHERS = "gateways", "PostgreSQL", "Valkey and metering"
GENERATOR = "load generators"
SLICE_S = 1.0

# Microseconds of processor time a call, by who took them.
Costs = Mapping[str, float]


class Spread(msgspec.Struct, frozen=True):
    """Slices of each amount of gateways, and what their calls cost."""

    slices: Mapping[str, Sequence[Slice]]
    costs: Mapping[str, Sequence[Costs]]

    def against_one(self, amount: str) -> list[float]:
        one = self.slices[str(GATEWAYS[0])]
        return [many.per_s / alone.per_s for many, alone in zip(self.slices[amount], one, strict=True)]

    def cost_us(self, amount: str, who: str) -> float:
        return median(costs[who] for costs in self.costs[amount])


async def measure() -> Report:
    async with opened_world() as world, AsyncExitStack() as stack:
        await world.arrange(Setup(gateways=1))
        caller = await world.caller(LIMITS)
        await post_documents(world.urls[0], caller, 1)
        others = [await stack.enter_async_context(_another(world, at)) for at in range(2, max(GATEWAYS) + 1)]
        gateways = [world.gateways[0], *others]
        parted = await _spread(world, gateways, caller, parted=True)
        whole = await _spread(world, gateways, caller, parted=False)
    return _report(parted, whole)


@asynccontextmanager
async def _another(world: World, at: int) -> AsyncGenerator[Service]:
    port = free_port()
    environment = {**world.gateways[0].environment, "PORT": str(port)}
    service = Service(f"another-{at}", "services.api", environment, world.folder)
    service.start()
    try:
        await listening(port)
        yield service
    finally:
        service.stop()


async def _spread(world: World, gateways: Sequence[Service], caller: Caller, *, parted: bool) -> Spread:
    """GET of one document by as many connections altogether, over so many of the gateways."""
    request = Request("GET", f"/v1/documents/{caller.document_id}", caller.key)
    costs: dict[str, list[Costs]] = {str(amount): [] for amount in GATEWAYS}

    def work(amount: int) -> Callable[[], Awaitable[Slice]]:
        async def run() -> Slice:
            before = _processor_s(world, gateways)
            async with _in_parts(gateways[:amount] if parted else ()):
                found = await _split(gateways[:amount], request)
            after = _processor_s(world, gateways)
            calls = found.per_s * SLICE_S
            costs[str(amount)].append({who: (after[who] - before[who]) / calls * 1e6 for who in after})
            return found

        return run

    slices = await in_turns({str(amount): work(amount) for amount in GATEWAYS}, turns=8, seconds_max=40)
    measured = len(slices[str(GATEWAYS[0])])
    return Spread(slices, {amount: each[-measured:] for amount, each in costs.items()})


async def _split(gateways: Sequence[Service], request: Request) -> Slice:
    loads = [
        Load(
            url=f"http://127.0.0.1:{gateway.environment['PORT']}",
            requests=[request],
            connections=CONNECTIONS // len(gateways),
            seconds=SLICE_S,
            core=pinned_core(),
        )
        for gateway in gateways
    ]
    slices = await asyncio.gather(*map(sliced, loads))
    return Slice(
        sum(each.per_s for each in slices),
        median(each.p50_ms for each in slices),
        max(each.p99_ms for each in slices),
    )


@asynccontextmanager
async def _in_parts(gateways: Sequence[Service]) -> AsyncGenerator[None]:
    """Each runs in its part of the time alone."""
    turning = asyncio.ensure_future(_turn(gateways))
    try:
        yield
    finally:
        turning.cancel()
        with suppress(asyncio.CancelledError):
            await turning
        for gateway in gateways:
            gateway.thaw()


async def _turn(gateways: Sequence[Service]) -> None:
    for gateway in gateways:
        gateway.freeze()
    while gateways:
        for part in range(PARTS):
            if part < len(gateways):
                gateways[part].thaw()
            await asyncio.sleep(PART_S)
            if part < len(gateways):
                gateways[part].freeze()


def _processor_s(world: World, gateways: Sequence[Service]) -> dict[str, float]:
    """Seconds of processor time so far; that of load generators, which have ended, is this process's children's."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        GATEWAY: sum(_seconds(gateway.process_id) for gateway in gateways),
        DATABASE: _seconds(world.postgres.process_id),
        OTHERS: _seconds(world.valkey.process_id) + _seconds(world.metering.process_id),
        GENERATOR: ended.ru_utime + ended.ru_stime,
    }


def _seconds(process_id: int | None) -> float:
    """Of a process and of all that it has started and that are there."""
    process = psutil.Process(process_id)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _report(parted: Spread, whole: Spread) -> Report:
    results = tuple(
        result_of(f"gateways_{amount}_vs_1", parted.against_one(str(amount)), "one gateway")
        for amount in GATEWAYS[1:]
    )
    text = f"""\
`GET /v1/documents/:id` by {CONNECTIONS} connections altogether, split over the ports of several gateways with nothing
before them, and over as many load generators ({generator()} each).
{_pinned()}

**As on cores of their own.** The machine has {os.cpu_count()} cores, of which one gateway, PostgreSQL and the load
generators take all. So that more gateways find more to run on, each is given a {_nth(PARTS)} of a core: it runs for
{PART_S * 1000:.0f} ms, is stopped for {(PARTS - 1) * PART_S * 1000:.0f}, and no two run at once. What is left of the
cores is for all others, and more than they need.

{_table(parted)}
**On the same cores.** Nobody is stopped, and gateways, stores and load generators share the machine: what several
gateways cost one another where there is nothing more to run on.

{_table(whole)}"""
    return Report("several gateways", text, results)


def _table(spread: Spread) -> str:
    head = f"| gateways | calls a second, median | against one, of a turn | {' | '.join(_told(spread))} |"
    rows = [_line(spread, str(amount)) for amount in GATEWAYS]
    return "\n".join((head, f"| ---: | ---: | ---: |{' ---: |' * len(_told(spread))}", *rows, ""))


def _told(spread: Spread) -> list[str]:
    return [f"{who}, µs a call" for who in spread.costs[str(GATEWAYS[0])][0]]


def _line(spread: Spread, amount: str) -> str:
    ratios = spread.against_one(amount)
    costs = " | ".join(f"{spread.cost_us(amount, who):.0f}" for who in spread.costs[str(GATEWAYS[0])][0])
    per_s = median(each.per_s for each in spread.slices[amount])
    told = f"{median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}"
    return f"| {amount} | {per_s:,.0f} | {told} | {costs} |"


def _nth(parts: int) -> str:
    return {2: "half", 3: "third", 4: "quarter"}[parts]


def _pinned() -> str:
    core = pinned_core()
    if core is None:
        return "The load generator runs wherever the system puts it."
    return f"The load generators are kept to core {core}, which the others may use as well."
