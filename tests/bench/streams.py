"""Whole lists in one answer: rows a second of one gateway, what memory they take, and what other calls feel of it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from statistics import median, quantiles
from urllib.parse import urlsplit

import asyncpg
import msgspec
import psutil
from load import Caller, Kind, open_line

from tests.bench.contenders import LIMITS
from tests.bench.results import Report, result_of
from tests.bench.stock import copy_documents, post_documents, request_body
from tests.bench.turns import hushed
from tests.faults.world import Setup, World, opened_world

POSTED, COPIES, CHUNK = 200, 1_000, 250
# What an ordinary account has, to compare memory with.
FEW = 5_000
TURNS = 5
ROWS_PER_S = 20_000
# What passes this filter is one document of fifty.
FILTER = "type=purchase_order&currency=EUR"
PASSING = sum(
    body["type"] == "purchase_order" and body["currency"] == "EUR"
    for body in (request_body("", number) for number in range(POSTED))
)
READS = 300
READ_BYTES = 256 * 1024
MB = 1_000_000
# What the gateway may take more while streams run than before the first.
RISE_MB_MAX = 16.0


class Stream(msgspec.Struct, frozen=True):
    """A way of asking for a list: its words for people, its path, and how many of the posted documents it has."""

    words: str
    path: str
    passing: int = POSTED


FORMATS = (Stream("ndjson", "export.ndjson"), Stream("csv", "export.csv"))
OTHERS = (
    Stream(f"ndjson, `{FILTER}`", f"export.ndjson?{FILTER}", PASSING),
    Stream("ndjson, `sort=total`", "export.ndjson?sort=total"),
)


class Run(msgspec.Struct, frozen=True):
    """One stream, read to its end; ``peak_bytes`` is the most that the gateway took of memory meanwhile."""

    rows: int
    size_bytes: int
    seconds: float
    peak_bytes: int

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


class Found(msgspec.Struct, frozen=True):
    """The runs of an account with few documents and of one with many; and what single reads waited for."""

    few: dict[Stream, list[Run]]
    many: dict[Stream, list[Run]]
    first_bytes: int
    alone_ms: Sequence[float]
    beside_ms: Sequence[float]


async def measure() -> Report:
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        small, large = await world.caller(LIMITS), await world.caller(LIMITS)
        await _stock(world, small, FEW // POSTED - 1)
        await _stock(world, large, COPIES - 1)
        first_bytes = _memory(world)
        few = await _runs(world, small, FORMATS)
        many = await _runs(world, large, (*FORMATS, *OTHERS))
        alone_ms = await _waits(world, large)
        async with _streaming(world, large):
            beside_ms = await _waits(world, large)
    return _report(Found(few, many, first_bytes, alone_ms, beside_ms))


async def _runs(world: World, caller: Caller, streams: Sequence[Stream]) -> dict[Stream, list[Run]]:
    found: dict[Stream, list[Run]] = {stream: [] for stream in streams}
    for _ in range(TURNS):
        await hushed()
        for stream, runs in found.items():
            runs.append(await _streamed(world, caller, stream.path))
    return found


def _memory(world: World) -> int:
    """What the gateway takes, in bytes."""
    return psutil.Process(world.gateways[0].process_id).memory_info().rss


async def _stock(world: World, caller: Caller, copies: int) -> None:
    """Documents of three lines in every status, most of them copied by SQL."""
    documents = await post_documents(world.urls[0], caller, POSTED)
    connection = await asyncpg.connect(world.postgres.url)
    account = caller.account_id
    try:
        for first in range(0, copies, CHUNK):
            await copy_documents(
                connection, account, [account], ids=documents, copies=min(CHUNK, copies - first), first=first
            )
        await connection.execute("vacuum analyze api.documents")
    finally:
        await connection.close()


async def _streamed(world: World, caller: Caller, path: str) -> Run:
    began = time.perf_counter()
    rows = size_bytes = peak_bytes = 0
    async for piece in pieces(world.urls[0], caller, path):
        rows += piece.count(b"\n")
        size_bytes += len(piece)
        peak_bytes = max(peak_bytes, _memory(world))
    return Run(rows - ("csv" in path), size_bytes, time.perf_counter() - began, peak_bytes)


async def pieces(gateway: str, caller: Caller, path: str) -> AsyncGenerator[bytes]:
    """What ``path`` below the documents answers by HTTP/1.0, whose body has no chunks between its lines."""
    url = urlsplit(gateway)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=READ_BYTES)
    writer.write(f"GET /v1/documents/{path} HTTP/1.0\r\nAuthorization: Bearer {caller.key}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 OK" in head, head
    while piece := await reader.read(READ_BYTES):
        yield piece
    writer.close()


async def _waits(world: World, caller: Caller) -> list[float]:
    """How long single reads of a document take, one after the other, in milliseconds."""
    line, kind = (
        await open_line(world.urls[0]),
        Kind("GET", lambda _: f"/v1/documents/{caller.document_id}", lambda _: b""),
    )
    waits: list[float] = []
    for _ in range(READS):
        began = time.perf_counter()
        assert await line.call(caller, kind) == 200, line.body
        waits.append((time.perf_counter() - began) * 1000)
    line.close()
    return waits


@asynccontextmanager
async def _streaming(world: World, caller: Caller) -> AsyncGenerator[None]:
    """One stream after the other, read as fast as they come."""

    async def stream() -> None:
        while True:
            async for _ in pieces(world.urls[0], caller, "export.ndjson"):
                pass

    task = asyncio.create_task(stream())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _report(found: Found) -> Report:
    slower = min(FORMATS, key=lambda stream: median(run.rows_per_s for run in found.many[stream]))
    ratios = [run.rows_per_s / ROWS_PER_S for run in found.many[slower]]
    first_mb = found.first_bytes / MB
    rise_mb = max(run.peak_bytes for run in _all_runs(found)) / MB - first_mb
    text = f"""\
`GET /v1/documents/export.ndjson` and `.csv` of one gateway process, read on one connection by our own asyncio client
as fast as they come, {TURNS} times each, on the same cores as the database; one document of {POSTED // PASSING} passes
the filter. The gateway took {first_mb:.0f} MB before the first, and at most {rise_mb:.0f} MB more while they ran; the
bound is {RISE_MB_MAX:.0f} MB more.

| format | documents | MB | seconds | rows a second | lowest to highest | gateway's memory, MB at most |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{"".join(_line(stream.words, runs) for each in (found.few, found.many) for stream, runs in each.items())}
`GET /v1/documents/:id`, one at a time: p50 {median(found.alone_ms):.2f} ms, p99 {_p99(found.alone_ms):.2f} ms; beside
a stream at full speed, whose reader takes a core, {median(found.beside_ms):.2f} ms and {_p99(found.beside_ms):.2f} ms.
"""
    against = f"{ROWS_PER_S:,} rows a second ({slower.words})"
    rows = (result_of("export_rows_per_s_vs_20000", ratios, against),)
    return Report("whole lists in one answer", text, rows, tuple(_missed(found, rise_mb)))


def _all_runs(found: Found) -> Iterator[Run]:
    return chain(*found.few.values(), *found.many.values())


def _missed(found: Found, rise_mb: float) -> list[str]:
    missed = [
        f"A stream of {stream.passing * COPIES:,} rows as {stream.words} had others."
        for stream, runs in found.many.items()
        if {run.rows for run in runs} != {stream.passing * COPIES}
    ]
    if rise_mb > RISE_MB_MAX:
        missed.append(
            f"Streams take {rise_mb:.1f} MB more of the gateway's memory; {RISE_MB_MAX:.0f} is the most."
        )
    return missed


def _line(words: str, runs: Sequence[Run]) -> str:
    speeds = [run.rows_per_s for run in runs]
    return (
        f"| {words} | {runs[0].rows:,} | {runs[0].size_bytes / MB:,.1f} | {median(run.seconds for run in runs):.2f} "
        f"| {median(speeds):,.0f} | {min(speeds):,.0f} to {max(speeds):,.0f} "
        f"| {max(run.peak_bytes for run in runs) / MB:.0f} |\n"
    )


def _p99(waits: Sequence[float]) -> float:
    return quantiles(waits, n=100)[98]
