"""What admission costs: a gateway with it against the same gateway that grants every call and asks nobody."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from statistics import median

import msgspec
from load import Caller

from deploy.local.store import free_port
from tests.bench.quiet import quiet
from tests.bench.results import Report, result_of
from tests.bench.slices import generator
from tests.bench.ticks import RoundTrips, count_round_trips
from tests.bench.wrk import CONNECTIONS, calls_per_s
from tests.faults.processes import Service
from tests.faults.rounds import furnish
from tests.faults.world import Setup, World, opened_world, ready

PAIRS = 40
SLICE_S = 1
WARM_UP_S = 1
AGAINST = "the gateway without admission"


class Pair(msgspec.Struct, frozen=True):
    """Calls a second, of one slice each."""

    gated: float
    ungated: float

    @property
    def ratio(self) -> float:
        return self.gated / self.ungated


async def measure() -> Report:
    """In turns, so that what else the machine does meets both; the order changes from pair to pair."""
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        caller = await world.caller({"api_calls": 1_000_000_000})  # one limit, as the other gateway tells
        await furnish(world.urls[0], caller)
        async with _ungated(world) as ungated:
            pairs = await _pairs(world.urls[0], ungated, caller)
        trips = await count_round_trips(world)
    return _report(pairs, trips)


@asynccontextmanager
async def _ungated(world: World) -> AsyncGenerator[str]:
    port = free_port()
    environment = {**world.gateways[0].environment, "PORT": str(port)}
    service = Service("ungated", "tests.bench.ungated", environment, world.folder)
    service.start()
    try:
        await ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        service.stop()


async def _pairs(gated: str, ungated: str, caller: Caller) -> list[Pair]:
    for gateway in (gated, ungated):
        await calls_per_s(gateway, caller, seconds=WARM_UP_S)
    gc.collect()
    pairs: list[Pair] = []
    for number in range(PAIRS):
        await quiet()
        turns = (gated, ungated) if number % 2 else (ungated, gated)
        found = {gateway: await calls_per_s(gateway, caller, seconds=SLICE_S) for gateway in turns}
        pairs.append(Pair(found[gated], found[ungated]))
    return pairs


def _report(pairs: list[Pair], trips: RoundTrips) -> Report:
    ratios = sorted(pair.ratio for pair in pairs)
    gated, ungated = median(pair.gated for pair in pairs), median(pair.ungated for pair in pairs)
    text = f"""\
`GET /v1/documents/:id`, {CONNECTIONS} keep-alive connections of {generator()}, {PAIRS} pairs of {SLICE_S} s each, in
turns:

| gateway | calls a second, median |
| --- | ---: |
| with admission | {gated:,.0f} |
| without admission | {ungated:,.0f} |

The ratio of a pair: median {median(ratios):.2f}, from {ratios[0]:.2f} to {ratios[-1]:.2f}.

Redis round trips, counted where the gateway writes to its sockets: {trips.writes:,} for {trips.admissions:,} admissions
over {trips.accounts} accounts, in {trips.ticks:,} ticks of the event loop; at most {trips.most} in a tick.
"""
    return Report("admission", text, (result_of("admission", ratios, AGAINST),))
