"""What slow clients cost the others: the p99 of reads with 2,000 of them and without, and idle connections' memory."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from statistics import median
from urllib.parse import urlsplit

import msgspec
import psutil
from load import DOCUMENT, Caller, open_line

from services.api.__main__ import allowed_connections
from tests.bench.results import Report, result_of
from tests.bench.slices import CONNECTIONS, Load, Request, Slice, generator, sliced
from tests.bench.turns import hushed
from tests.faults.rounds import furnish
from tests.faults.world import Setup, World, opened_world

SLOW = 2000
IDLE = 2000
SLICE_S = 2
# Slices alone before the slow clients come, and as many after they have gone.
FREE_SLICES = 12
# So long the slow clients are there, each of which is replaced when it leaves.
HELD_S = 60.0
# Of the slow clients so many must be there at any time, for one that leaves is replaced a moment later.
HELD_SHARE_MIN = 0.9
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

    @property
    def amount(self) -> int:
        """How many are connected now."""
        return len(self._clients)

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


class Found(msgspec.Struct, frozen=True):
    """Slices without slow clients and among them, and how many of these there were at the least."""

    free: Sequence[Slice]
    among: Sequence[Slice]
    held_least: int


async def measure() -> Report:
    allowed_connections(SLOW + CONNECTIONS)
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        caller = await world.caller()
        await furnish(world.urls[0], caller)
        idle_mb = await _idle_mb(world, caller)
        found = await _compared(world.urls[0], caller)
    return _report(found, idle_mb)


async def _compared(gateway: str, caller: Caller) -> Found:
    request = Request("GET", DOCUMENT.path(caller), caller.key)
    load = Load(url=gateway, requests=[request], seconds=SLICE_S)
    await sliced(load)
    free, among, amounts = await _free(load), list[Slice](), list[int]()
    async with _slow_clients(gateway) as clients:
        end = time.monotonic() + HELD_S
        while time.monotonic() < end:
            among.append(await sliced(load))
            amounts.append(clients.amount)
    return Found(free + await _free(load), among, min(amounts))


async def _free(load: Load) -> list[Slice]:
    await hushed()
    return [await sliced(load) for _ in range(FREE_SLICES)]


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
    for _ in range(IDLE):
        lines.append(await open_line(world.urls[0]))
        assert await lines[-1].call(caller, DOCUMENT) == 200
    grown_mb = (gateway.memory_info().rss - before_bytes) / MB
    for line in lines:
        line.close()
    return grown_mb


def _report(found: Found, idle_mb: float) -> Report:
    usual_ms = median(free.p99_ms for free in found.free)
    result = result_of("p99_with_slowloris", [slow.p99_ms / usual_ms for slow in found.among], AGAINST)
    low, high = result.spread
    text = f"""\
`GET /v1/documents/:id` on {CONNECTIONS} keep-alive connections by {generator()}, alone and among {SLOW:,} others, which
our own asyncio client holds for {HELD_S:.0f} s. Each of these sends a byte of its headers every {DRIP_S:.0f} s, and is
replaced by a new one after {LIVES_S_MAX / 2:.0f} s on average; never were there fewer than {found.held_least:,}.
Slices of {SLICE_S} s: {len(found.among)} while they are there, {FREE_SLICES} before and {FREE_SLICES} after:

| | p50, ms | p99, ms | calls a second |
| --- | ---: | ---: | ---: |
| without slow clients | {_medians(found.free)} |
| among {SLOW:,} of them | {_medians(found.among)} |

A slice's p99 among them against the median of those without: median {result.ratio:.2f}, from {low:.2f} to {high:.2f}.

{IDLE:,} idle keep-alive connections that have had an answer take {idle_mb:.1f} MB more of the gateway's memory,
{idle_mb * 1000 / IDLE:.1f} kB each.
"""
    return Report("slow clients", text, (result,), tuple(_missed(found, idle_mb)))


def _missed(found: Found, idle_mb: float) -> list[str]:
    missed: list[str] = []
    if idle_mb >= IDLE_MB_MAX:
        missed.append(f"{IDLE:,} idle connections take {idle_mb:.1f} MB; {IDLE_MB_MAX:.0f} is the most.")
    if found.held_least < HELD_SHARE_MIN * SLOW:
        missed.append(f"Only {found.held_least:,} of {SLOW:,} slow clients were there at some time.")
    return missed


def _medians(slices: Sequence[Slice]) -> str:
    p50 = median(one.p50_ms for one in slices)
    p99 = median(one.p99_ms for one in slices)
    return f"{p50:.1f} | {p99:.1f} | {median(one.per_s for one in slices):,.0f}"
