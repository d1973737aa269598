"""What a gateway takes by itself: time until it listens, memory, and memory for callers that only stay connected."""

import asyncio
import resource
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import msgspec
import psutil
from load import TEMPLATES, Caller, Line, open_line

from deploy.local.store import free_port
from tests.bench.contenders import listening
from tests.bench.memory import MB
from tests.faults.processes import Service
from tests.faults.world import World

STARTS = 5
IDLE = 2_000
OPENING = 50
# For the connections' two ends, in processes that are allowed fewer by default.
FILES = 8_192


class Footing(msgspec.Struct, frozen=True):
    """In seconds and MB: after the load that was, freshly started, and with the idle connections."""

    starts_s: Sequence[float]
    loaded_mb: float
    fresh_mb: float
    connected_mb: float

    @property
    def connection_kb(self) -> float:
        return (self.connected_mb - self.fresh_mb) * 1000 / IDLE


async def footing(world: World, caller: Caller) -> Footing:
    """Of the world's gateway after its load, and of others that are started for this."""
    loaded_mb = size_mb(world.gateways[0])
    starts_s = [await _start_s(world) for _ in range(STARTS)]
    port = free_port()
    service = _service(world, port)
    service.start()
    try:
        await listening(port)
        fresh_mb, connected_mb = await _connected(service, f"http://127.0.0.1:{port}", caller)
    finally:
        service.stop()
    return Footing(starts_s, loaded_mb, fresh_mb, connected_mb)


def size_mb(service: Service) -> float:
    """What Linux counts as its share of memory (PSS)."""
    return psutil.Process(service.process_id).memory_full_info().pss / MB


async def _start_s(world: World) -> float:
    port = free_port()
    service = _service(world, port)
    began = time.perf_counter()
    service.start()
    try:
        await listening(port)
        return time.perf_counter() - began
    finally:
        service.stop()


def _service(world: World, port: int) -> Service:
    environment = {**world.gateways[0].environment, "PORT": str(port)}
    return Service("another", "services.api", environment, world.folder)


async def _connected(service: Service, url: str, caller: Caller) -> tuple[float, float]:
    """Its memory before and while many callers hold a connection, on which each has called once."""
    line = await _called(url, caller)
    before, lines = size_mb(service), list[Line]()
    for _ in range(IDLE // OPENING):
        lines += await asyncio.gather(*(_called(url, caller) for _ in range(OPENING)))
    connected = size_mb(service)
    for each in (line, *lines):
        each.close()
    return before, connected


async def _called(url: str, caller: Caller) -> Line:
    line = await open_line(url)
    assert await line.call(caller, TEMPLATES) == 200
    return line


@contextmanager
def many_files() -> Generator[None]:
    """For this process, and for those that it starts, which inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FILES)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
