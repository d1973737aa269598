"""The worker as a whole: a job goes in through a real queue; a PDF in the store and a push come out."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil
import pytest
from arq.connections import ArqRedis
from obstore.store import ObjectStore
from redis.asyncio.client import PubSub

from services.renderer import queue
from services.renderer.chromium import Chromium
from services.renderer.metrics import Metrics
from services.renderer.render import GIVEN_UP, MALFORMED, UNFILLABLE
from services.renderer.worker import Lane, render_lane, serve
from shared.messages import (
    EXPORT_PART_FUNCTION,
    EXPORT_QUEUE,
    RENDER_DONE_CHANNEL,
    RENDER_FUNCTION,
    RENDER_QUEUE,
    ExportEntry,
    ExportPart,
    RenderDone,
    RenderJob,
)
from shared.objects import open_store, read
from shared.queue import Queue, open_queue

PUSH_TIMEOUT_S = 20


@dataclass
class Gateway:
    """The other end of the queue."""

    queue: ArqRedis
    pushes: PubSub

    async def ask(self, payload: bytes) -> str:
        key = hashlib.sha256(payload).hexdigest()
        await Queue(self.queue).enqueue(RENDER_FUNCTION, (path_of(key), payload), job_id=key, expires_s=300)
        return key

    async def answer(self, key: str) -> RenderDone:
        async with asyncio.timeout(PUSH_TIMEOUT_S):
            async for message in self.pushes.listen():
                if message["type"] == "message":
                    done = msgspec.msgpack.decode(message["data"], type=RenderDone)
                    if done.key == key:
                        return done
        raise AssertionError(key)

    async def left(self) -> list[bytes]:
        return [key async for key in self.queue.scan_iter("*")]


def path_of(key: str) -> str:
    return f"pdf/{key}.pdf"


def payload_of(job: RenderJob, number: int = 1) -> bytes:
    return msgspec.msgpack.encode(msgspec.structs.replace(job, number=f"INV-2026-{number:06d}"))


@pytest.fixture
def job(example: Callable[[str], RenderJob]) -> RenderJob:
    return example("invoice-modern")


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Gateway]:
    queue = await open_queue(redis_url)
    pushes = queue.pubsub()
    await pushes.subscribe(RENDER_DONE_CHANNEL)
    yield Gateway(queue, pushes)
    await pushes.aclose()
    await queue.aclose(close_connection_pool=True)


@pytest.fixture
def store(object_url: str) -> ObjectStore:
    return open_store(object_url)


@pytest.fixture
def lane(chromium: Chromium, store: ObjectStore) -> Lane:
    return render_lane(chromium, 2, store, Metrics())


@contextlib.asynccontextmanager
async def working(lane: Lane, redis_url: str) -> AsyncGenerator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(serve(redis_url, lane, stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def test_a_job_becomes_a_pdf_and_a_push(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob, store: ObjectStore
) -> None:
    async with working(lane, redis_url):
        key = await gateway.ask(payload_of(job))
        assert await gateway.answer(key) == RenderDone(key=key)
    found = await read(store, path_of(key))
    assert found
    assert b"".join([chunk async for chunk in found[1]]).startswith(b"%PDF-")
    assert await gateway.left() == []


async def test_the_job_is_gone_when_its_push_comes(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    """So that whoever asks again after the push makes a new job, and never waits for a push that has been."""
    async with working(lane, redis_url):
        for number in range(20):
            key = await gateway.ask(payload_of(job, number))
            await gateway.answer(key)
            assert not await gateway.queue.exists(f"arq:job:{key}")


async def test_a_job_that_fails_for_good_is_reported_at_once(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    gothic = msgspec.msgpack.encode(msgspec.structs.replace(job, template="gothic"))
    async with working(lane, redis_url):
        for payload, error in ((b"garbage", MALFORMED), (b"", MALFORMED), (gothic, UNFILLABLE)):
            key = await gateway.ask(payload)
            assert await gateway.answer(key) == RenderDone(key=key, error=error)
    assert await gateway.left() == []


async def test_what_is_no_job_at_all_is_reported_too(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    key = await gateway.ask(payload_of(job))
    await gateway.queue.set(f"arq:job:{key}", b"\x80\x04pickled")
    async with working(lane, redis_url):
        assert await gateway.answer(key) == RenderDone(key=key, error=MALFORMED)


async def test_a_job_that_has_had_its_tries_is_reported_and_not_tried_again_either(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    key = await gateway.ask(payload_of(job))
    await gateway.queue.set(f"arq:retry:{key}", 2)
    async with working(lane, redis_url):
        for _ in range(3):
            assert await gateway.answer(key) == RenderDone(key=key, error=GIVEN_UP)
            assert await gateway.ask(payload_of(job)) == key


async def test_a_job_that_a_killed_worker_held_is_taken_up_again(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    key = await gateway.ask(payload_of(job))
    await gateway.queue.set(f"arq:retry:{key}", 1)
    await gateway.queue.set(f"arq:in-progress:{key}", b"1", px=500)
    async with working(lane, redis_url):
        assert await gateway.answer(key) == RenderDone(key=key)


async def test_stopping_finishes_what_is_under_way(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob, store: ObjectStore
) -> None:
    keys = {await gateway.ask(payload_of(job, number)) for number in range(12)}
    async with working(lane, redis_url):
        await gateway.answer(next(iter(keys)))
    waiting = {key.decode() for key in await gateway.queue.zrange(RENDER_QUEUE, 0, -1)}
    held = [key for key in await gateway.left() if key.startswith(b"arq:in-progress:")]
    assert held == []
    for key in keys - waiting:
        assert await read(store, path_of(key))


@dataclass
class Wire:
    """A line to Redis that can be cut."""

    target: str
    server: asyncio.Server | None = None
    port: int = 0
    ends: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def url(self) -> str:
        parts = urlsplit(self.target)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    async def mend(self) -> None:
        self.server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self.server
        self.server.close()
        for end in tuple(self.ends):
            end.close()
        await self.server.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.target)
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
        self.ends |= {writer, far_writer}
        with contextlib.suppress(OSError):
            await asyncio.gather(self._pour(reader, far_writer), self._pour(far_reader, writer))

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@pytest.mark.parametrize("outage_s", [0.3, 6.0])
async def test_the_worker_outlives_its_redis(
    outage_s: float, gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    """A moment without Redis is waited out on the connection, a longer one by a new arq worker."""
    wire = Wire(redis_url)
    await wire.mend()
    async with working(lane, wire.url):
        await gateway.answer(await gateway.ask(payload_of(job, 1)))
        await wire.cut()
        await asyncio.sleep(outage_s)
        key = await gateway.ask(payload_of(job, 2))
        await wire.mend()
        assert await gateway.answer(key) == RenderDone(key=key)
    await wire.cut()


async def test_it_waits_for_a_redis_that_is_not_there_yet(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    wire = Wire(redis_url)
    await wire.mend()
    await wire.cut()
    async with working(lane, wire.url):
        await asyncio.sleep(0.5)
        await wire.mend()
        key = await gateway.ask(payload_of(job))
        assert await gateway.answer(key) == RenderDone(key=key)
    await wire.cut()


async def test_an_idle_worker_is_woken_and_does_not_look(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK_AGAIN_S", 3600)
    async with working(lane, redis_url):
        for number in range(5):
            key = await gateway.ask(payload_of(job, number))
            assert await gateway.answer(key) == RenderDone(key=key)
        await gateway.ask(b"the last one, for the ear to end")


async def test_a_job_whose_wake_was_lost_is_found_by_looking(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    async with working(lane, redis_url):
        await gateway.answer(await gateway.ask(payload_of(job, 1)))
        payload = payload_of(job, 2)
        key = hashlib.sha256(payload).hexdigest()
        await gateway.queue.enqueue_job(RENDER_FUNCTION, path_of(key), payload, _job_id=key)
        assert await gateway.answer(key) == RenderDone(key=key)


async def test_a_worker_tells_that_it_lives_and_takes_it_back(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    async with working(lane, redis_url):
        await gateway.answer(await gateway.ask(payload_of(job)))
        told: Any = await gateway.queue.execute_command("HVALS", f"{RENDER_QUEUE}:workers")
        assert [value.split()[1] for value in told] == [b"2"]
    assert not await gateway.queue.exists(f"{RENDER_QUEUE}:workers")


async def test_what_a_lane_has_done_is_in_its_metrics(
    gateway: Gateway, lane: Lane, redis_url: str, job: RenderJob
) -> None:
    async with working(lane, redis_url):
        await gateway.answer(await gateway.ask(payload_of(job)))
        await gateway.answer(await gateway.ask(b"garbage"))
    told = lane.metrics.exposition().decode().splitlines()
    label = f'queue="{RENDER_QUEUE}"'
    assert f"invouno_render_wait_seconds_count{{{label}}} 2.0" in told
    assert f"invouno_render_job_seconds_count{{{label}}} 2.0" in told
    assert f'invouno_render_failures_total{{{label},reason="malformed"}} 1.0' in told
    assert f"invouno_renderer_pages{{{label}}} 2.0" in told


@pytest.fixture
async def process(
    redis_url: str, object_url: str, chromium_path: str, tmp_path: Path
) -> AsyncIterator[Process]:
    """A worker as it is run, the first of its own process group."""
    variables = {
        "REDIS_URL": redis_url,
        "OBJECT_STORE_URL": object_url,
        "CHROMIUM_PATH": chromium_path,
        "TMPDIR": str(tmp_path),
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.renderer",
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    yield started
    if started.returncode is None:
        started.kill()
        await started.wait()


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
async def test_the_process_leaves_no_other(
    blow: signal.Signals, gateway: Gateway, process: Process, job: RenderJob
) -> None:
    """The signal goes to the whole process group, as a terminal's or a process runner's does."""
    key = await gateway.ask(payload_of(job))
    assert await gateway.answer(key) == RenderDone(key=key)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 3
    os.killpg(process.pid, blow)
    assert await process.wait() == (0 if blow == signal.SIGTERM else -blow)
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
    assert [member for member in alive if member.status() != psutil.STATUS_ZOMBIE] == []


async def test_stopping_finishes_an_export_s_part_that_is_under_way(
    gateway: Gateway, process: Process, job: RenderJob, store: ObjectStore
) -> None:
    numbered = [msgspec.structs.replace(job, document_id=f"doc_{number}") for number in range(60)]
    entries = tuple(ExportEntry(document_id=one.document_id, job=one) for one in numbered)
    payload = msgspec.msgpack.encode(ExportPart(entries=entries))
    exports = Queue(gateway.queue, EXPORT_QUEUE)
    await exports.enqueue(EXPORT_PART_FUNCTION, ("export/part", payload), job_id="export/part", expires_s=300)
    for _ in range(2000):
        if await gateway.queue.exists("arq:in-progress:export/part"):
            break
        await asyncio.sleep(0.01)
    process.terminate()
    assert await process.wait() == 0
    assert await read(store, "export/part")
    assert await gateway.left() == []
