"""The product's own ways: a worker on a full queue, and the whole way from a caller to its PDF."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import msgspec
import psutil
from arq.connections import ArqRedis
from load import Caller, Kind, Line, open_line

from cli.stores import Settings, Stores
from services.api.pdf import Render, as_render
from shared.messages import RENDER_DONE_CHANNEL, RENDER_FUNCTION, RenderDone, RenderJob
from shared.queue import Queue, open_queue
from tests.bench.invoice import SELLER, client, profile, request_body
from tests.bench.ways import Way, Work, at_once
from tests.faults.processes import Service
from tests.faults.world import Setup, World, command, opened_world, until

# So many ask for PDFs at the same time.
CALLERS = 12
# So many prepare the documents, which is not measured.
POSTING = 8
JOB_EXPIRES_S = 300.0
# Posting the documents takes as long as exporting them.
EXPORT_ROUNDS = 4


@asynccontextmanager
async def opened_product() -> AsyncGenerator[World]:
    """Gateway, metering, both stores and one worker with two pages, as a machine would run them."""
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1, renderer=True))
        yield world


@asynccontextmanager
async def opened_product_ways(world: World) -> AsyncGenerator[dict[str, Way]]:
    async with open_queue(world.valkey.url) as redis:
        worker, whole = FullQueue(world, redis), WholeWay(world.urls[0], await seller(world))
        yield {
            "worker": Way(
                name="our worker, on a full queue", documents=240, warm_up=20, prepare=worker.prepare
            ),
            "whole": Way(
                name=f"our whole way, {CALLERS} callers", documents=120, warm_up=20, prepare=whole.prepare
            ),
            "export": Way(
                name="a whole export, from request to download",
                documents=200,
                warm_up=40,
                prepare=whole.prepare_export,
                rounds=EXPORT_ROUNDS,
            ),
        }


class FullQueue:
    """The worker is stopped while its queue is filled, so that only its own work is measured."""

    def __init__(self, world: World, redis: ArqRedis) -> None:
        assert world.renderer is not None
        self._worker: Service = world.renderer
        self._objects = objects_of(world)
        self._redis = redis
        self._queue = Queue(redis)

    async def prepare(self, jobs: Sequence[RenderJob]) -> Work:
        renders = [as_render("acct_bench", job) for job in jobs]
        self._worker.freeze()
        for render in renders:
            await self._queue.enqueue(
                RENDER_FUNCTION, (render.path, render.payload), job_id=render.key, expires_s=JOB_EXPIRES_S
            )
        return lambda: self._work(renders)

    async def _work(self, renders: Sequence[Render]) -> list[bytes]:
        """Until the last is told to be in the store; raises AssertionError when one fails."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(RENDER_DONE_CHANNEL)
            self._worker.thaw()
            waiting = {render.key for render in renders}
            async for message in pubsub.listen():
                if message["type"] == "message":
                    done = msgspec.msgpack.decode(message["data"], type=RenderDone)
                    assert not done.error, done.error
                    waiting.discard(done.key)
                if not waiting:
                    break
        return [(self._objects / render.path).read_bytes() for render in renders]


class WholeWay:
    """GET of PDFs that nobody has asked for before; the documents have been posted."""

    def __init__(self, gateway: str, caller: Caller) -> None:
        self._gateway = gateway
        self._caller = caller

    async def prepare(self, jobs: Sequence[RenderJob]) -> Work:
        documents = await self.posted(jobs)
        lines = [await open_line(self._gateway) for _ in range(CALLERS)]
        free = list(lines)

        async def get(document_id: str) -> bytes:
            line = free.pop()
            pdf = await self.pdf(line, document_id)
            free.append(line)
            return pdf

        async def work() -> list[bytes]:
            pdfs = await at_once(CALLERS, documents, get)
            for line in lines:
                line.close()
            return pdfs

        return work

    async def prepare_export(self, jobs: Sequence[RenderJob]) -> Work:
        """All the documents as one ZIP archive, which is downloaded and unpacked."""
        documents = await self.posted(jobs)

        async def work() -> list[bytes]:
            line = await open_line(self._gateway)
            export = await self._post(line, "/v1/exports", {"documents": documents}, status=202)
            await until(lambda: self._is_over(line, export))
            assert b'"state":"ready"' in line.body, line.body
            assert await line.call(self._caller, _get(f"/v1/exports/{export}/download")) == 200
            line.close()
            with ZipFile(BytesIO(line.body)) as archive:
                return [archive.read(name) for name in archive.namelist() if name.endswith(".pdf")]

        return work

    async def posted(self, jobs: Sequence[RenderJob]) -> list[str]:
        """The ids of the same documents on the gateway, each with a client of its own."""
        return await at_once(POSTING, enumerate(jobs), lambda job: self._posted(*job))

    async def pdf(self, line: Line, document_id: str) -> bytes:
        assert await line.call(self._caller, _get(f"/v1/documents/{document_id}/pdf")) == 200, line.body
        return line.body

    async def _is_over(self, line: Line, export_id: str) -> bool:
        assert await line.call(self._caller, _get(f"/v1/exports/{export_id}")) == 200, line.body
        return msgspec.json.decode(line.body)["state"] not in {"queued", "running"}

    async def _posted(self, number: int, job: RenderJob) -> str:
        line = await open_line(self._gateway)
        client_id = await self._post(line, "/v1/clients", profile(client(number)))
        document_id = await self._post(line, "/v1/documents", request_body(job, client_id))
        line.close()
        return document_id

    async def _post(self, line: Line, path: str, body: object, *, status: int = 201) -> str:
        kind = Kind("POST", lambda _: path, lambda _: msgspec.json.encode(body))
        assert await line.call(self._caller, kind) == status, line.body
        return msgspec.json.decode(line.body)["id"]


def _get(path: str) -> Kind:
    return Kind("GET", lambda _: path)


async def seller(world: World) -> Caller:
    """A new account that prints as the invoice's seller does, and that no limit stops."""
    stores = Stores(Settings(database_url=world.postgres.url, redis_url=world.meter_url))
    fields = profile(SELLER).items()
    options = [part for name, value in fields for part in (f"--{name.replace('_', '-')}", value)]
    limits = ("burst_per_min=unlimited", "api_calls=unlimited", "documents=unlimited")
    try:
        account = await command(stores, "accounts", "create", *options)
        own = [part for limit in limits for part in ("--limit", limit)]
        await command(stores, "accounts", "set-plan", account["id"], "enterprise", *own)
        key = await command(stores, "keys", "create", "--account", account["id"])
    finally:
        await stores.aclose()
    return Caller(account["id"], key["key"])


def objects_of(world: World) -> Path:
    return world.folder / "objects"


def worker_process_id() -> int:
    return next(child.pid for child in psutil.Process().children() if "services.renderer" in child.cmdline())
