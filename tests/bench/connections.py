"""What slow clients cost the others: the p99 of reads with 2,000 of them and without, and idle connections' memory."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from statistics import median
from urllib.parse import urlsplit

import psutil
from load import DOCUMENT, Caller, open_line

from services.api.__main__ import allowed_connections
from tests.bench.results import Report, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, sliced
from tests.bench.turns import in_turns
from tests.faults.rounds import furnish
from tests.faults.world import Setup, World, opened_world

SLOW = 2000
IDLE = 2000
TURNS = 9
SLICE_S = 2
SECONDS_MAX = 40.0
WARM_UP_CALLS = 500
# Each slow client sends a byte in this time, and leaves for another one before the gateway's patience ends.
DRIP_S = 2.0
LIVES_S_MAX = 10.0
DRIPS_AT_ONCE = 50
OPENED_AT_ONCE = 100
IDLE_MB_MAX = 40.0
MB = 1_000_000
SLOW_HEAD = b"GET /v1/documents HTTP/1.1\r\nHost: gateway\r\nX-Slow: "
AGAINST = "the same without slow clients"


class SlowClient(asyncio.Protocol):
    """A connection whose headers never end."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(SLOW_HEAD)
        asyncio.get_running_loop().call_later(random.uniform(0, LIVES_S_MAX), transport.abort)

    def drip(self) -> None:
        if self.transport is not None:
            self.transport.write(b"x")

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        self._lost()


class SlowClients:
    """So many at a time, whatever the gateway does with each."""

    def __init__(self, gateway: str) -> None:
        parts = urlsplit(gateway)
        self._address = (parts.hostname or "", parts.port or 80)
        self._clients: set[SlowClient] = set()
        self._wanted = asyncio.Semaphore(OPENED_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False

    async def open(self) -> None:
        await asyncio.gather(*(self._begin() for _ in range(SLOW)))
        self._start(self._drip())

    async def close(self) -> None:
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            if client.transport is not None:
                client.transport.abort()

    async def _begin(self) -> None:
        async with self._wanted:
            client = SlowClient(lambda: self._begin_anew(client))
            await asyncio.get_running_loop().create_connection(lambda: client, *self._address)
        self._clients.add(client)

    def _begin_anew(self, client: SlowClient) -> None:
        self._clients.discard(client)
        if not self._is_over:
            self._start(self._begin())

    async def _drip(self) -> None:
        while True:
            for number, client in enumerate(list(self._clients)):
                client.drip()
                if number % DRIPS_AT_ONCE == 0:
                    await asyncio.sleep(DRIP_S * DRIPS_AT_ONCE / SLOW)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def measure() -> Report:
    allowed_connections(SLOW + CONNECTIONS)
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        caller = await world.caller()
        await furnish(world.urls[0], caller)
        idle_mb = await _idle_mb(world, caller)
        found = await _compared(world.urls[0], caller)
    return _report(found["without"], found["with"], idle_mb)


async def _compared(gateway: str, caller: Caller) -> dict[str, list[Slice]]:
    request = Request("GET", DOCUMENT.path(caller), caller.key)
    load = Load(url=gateway, requests=[request], seconds=SLICE_S)

    async def among_slow() -> Slice:
        async with _slow_clients(gateway):
            return await sliced(load)

    works = {"without": lambda: sliced(load), "with": among_slow}
    return await in_turns(works, turns=TURNS, seconds_max=SECONDS_MAX)


@asynccontextmanager
async def _slow_clients(gateway: str) -> AsyncGenerator[SlowClients]:
    clients = SlowClients(gateway)
    await clients.open()
    try:
        yield clients
    finally:
        await clients.close()


async def _idle_mb(world: World, caller: Caller) -> float:
    """What a gateway's memory grows by when so many connections more have had an answer each."""
    gateway = psutil.Process(world.gateways[0].process_id)
    lines = [await open_line(world.urls[0])]
    for _ in range(WARM_UP_CALLS):
        await lines[0].call(caller, DOCUMENT)
    before_bytes = gateway.memory_info().rss
    lines += [await open_line(world.urls[0]) for _ in range(IDLE)]
    for line in lines:
        assert await line.call(caller, DOCUMENT) == 200
    grown_mb = (gateway.memory_info().rss - before_bytes) / MB
    for line in lines:
        line.close()
    return grown_mb


def _report(without: list[Slice], among: list[Slice], idle_mb: float) -> Report:
    ratios = [slow.p99_ms / free.p99_ms for free, slow in zip(without, among, strict=True)]
    result = result_of("p99_with_slowloris", ratios, AGAINST)
    low, high = result.spread
    text = f"""\
`GET /v1/documents/:id` on {CONNECTIONS} keep-alive connections, alone and among {SLOW:,} others. Each of these sends a
byte of its headers every {DRIP_S:.0f} s, and is replaced by a new one after {LIVES_S_MAX / 2:.0f} s on average.
{len(ratios)} pairs of {SLICE_S} s each, in turns:

| | p50, ms | p99, ms | calls a second |
| --- | ---: | ---: | ---: |
| without slow clients | {_medians(without)} |
| among {SLOW:,} of them | {_medians(among)} |

The ratio of a pair's p99: median {result.ratio:.2f}, from {low:.2f} to {high:.2f}.

{IDLE:,} idle keep-alive connections that have had an answer take {idle_mb:.1f} MB more of the gateway's memory,
{idle_mb * 1000 / IDLE:.1f} kB each.
"""
    missed: list[str] = []
    if idle_mb >= IDLE_MB_MAX:
        missed.append(f"{IDLE:,} idle connections take {idle_mb:.1f} MB; {IDLE_MB_MAX:.0f} is the most.")
    return Report("slow clients", text, (result,), tuple(missed))


def _medians(slices: list[Slice]) -> str:
    p50 = median(one.p50_ms for one in slices)
    p99 = median(one.p99_ms for one in slices)
    return f"{p50:.1f} | {p99:.1f} | {median(one.per_s for one in slices):,.0f}"
