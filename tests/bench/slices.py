"""A slice of load on one process: as many requests as so many connections can send, by wrk or by this process."""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from math import ceil
from pathlib import Path
from statistics import quantiles

import msgspec
from load import Caller, Kind, open_line

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("requests.lua")
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Request(msgspec.Struct, frozen=True):
    """``body`` is JSON in one line, or nothing."""

    method: str
    path: str
    key: str
    body: bytes = b""


class Slice(msgspec.Struct, frozen=True):
    """Calls a second, and how long half and all but a hundredth of them took."""

    per_s: float
    p50_ms: float
    p99_ms: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """``requests`` are sent in turn, and again from the first; ``core`` is the only one of the load generator.

    wrk knows only whole seconds, and takes some more.
    """

    url: str
    requests: Sequence[Request]
    connections: int = CONNECTIONS
    seconds: float = 1.0
    core: int | None = None


async def sliced(load: Load) -> Slice:
    """Raises AssertionError when any request fails."""
    return await (by_wrk(load) if shutil.which("wrk") else by_asyncio(load))


def generator() -> str:
    """Who sends the calls, for people."""
    return "wrk with one thread" if shutil.which("wrk") else "our own asyncio client"


def pinned_core() -> int | None:
    """The core that a load generator is kept to; None where that cannot be done."""
    cores = Path("/sys/devices/system/cpu/online")
    if not (shutil.which("taskset") and shutil.which("wrk") and cores.exists()):
        return None
    return int(re.split("[-,]", cores.read_text().strip())[-1])


async def by_wrk(load: Load) -> Slice:
    with tempfile.NamedTemporaryFile("wb", suffix=".requests") as file:
        file.writelines(map(_line, load.requests))
        file.flush()
        text = await _output(load, file.name)
    assert "Non-2xx" not in text, text
    assert "Socket errors" not in text, text
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert found, text
    return Slice(float(found[1]), _milliseconds(text, "50%"), _milliseconds(text, "99%"))


async def _output(load: Load, file: str) -> str:
    pinned = () if load.core is None else ("taskset", "-c", str(load.core))
    command = (
        "wrk",
        "-t1",
        f"-c{load.connections}",
        f"-d{ceil(load.seconds)}s",
        "--latency",
        "-s",
        str(SCRIPT),
    )
    process = await asyncio.create_subprocess_exec(
        *pinned, *command, load.url, "--", file, stdout=asyncio.subprocess.PIPE
    )
    return (await process.communicate())[0].decode()


def _line(request: Request) -> bytes:
    assert not {b"\n", b"\t"} & {request.body[at : at + 1] for at in range(len(request.body))}, request
    return b"\t".join(
        (request.method.encode(), request.path.encode(), request.key.encode(), request.body + b"\n")
    )


def _milliseconds(text: str, share: str) -> float:
    found = re.search(rf"\s{share}\s+([\d.]+)(us|ms|s)", text)
    assert found, text
    return float(found[1]) * MILLISECONDS[found[2]]


async def by_asyncio(load: Load) -> Slice:
    requests, end = cycle(load.requests), time.monotonic() + load.seconds
    lines = (_send_until(end, load.url, requests) for _ in range(load.connections))
    waits = [wait for line in await asyncio.gather(*lines) for wait in line]
    percents = quantiles(waits, n=100)
    return Slice(len(waits) / load.seconds, percents[49], percents[98])


async def _send_until(end: float, url: str, requests: Iterator[Request]) -> list[float]:
    """How long each call took, in milliseconds."""
    line, waits = await open_line(url), list[float]()
    while (began := time.perf_counter()) and time.monotonic() < end:
        request = next(requests)
        assert await line.call(Caller("", request.key), _kind(request)) < 300, line.body
        waits.append((time.perf_counter() - began) * 1000)
    line.close()
    return waits


def _kind(request: Request) -> Kind:
    return Kind(request.method, lambda _: request.path, lambda _: request.body)
