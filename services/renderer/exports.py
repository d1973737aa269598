"""The renderer's side of exports: prints a part into one object, and joins parts into the file.

What exists is never made again, so that a killed worker's finished parts are not.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from arq.worker import Function, Retry, func
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from redis.exceptions import RedisError

from services.renderer.archives import ARCHIVES
from services.renderer.chromium import NoBrowserError
from services.renderer.deadline import deadline
from services.renderer.queue import OUTCOME
from services.renderer.render import GIVEN_UP, MALFORMED, REASON_NAMES, REASONS, UNPRINTABLE, UNSTORABLE
from shared.messages import (
    EXPORT_ARCHIVE_FUNCTION,
    EXPORT_DONE_CHANNEL,
    EXPORT_PART_FUNCTION,
    ExportArchive,
    ExportDone,
    ExportedDocument,
    ExportPart,
    RenderJob,
    exported,
)
from shared.objects import put_once, put_stream, read_whole, size_of
from shared.queue import RENDER_TRIES_MAX

# Ten times what a part takes, and more than the longest document alone with a browser that hangs on it.
PART_TIMEOUT_S = 60
# Gigabytes, from and to a slow store.
ARCHIVE_TIMEOUT_S = 900
# A worker holds on to its job by beating; a killed worker's job is taken up by another after this.
LOCKED_S = 30
BEAT_S = 8.0
# Sooner than the queue's own limit, so that it is this code which gives up, and says so.
MARGIN_S = 2

DELETED = "The document was deleted before its turn came"
NOT_MADE = "The PDF could not be made: {}"
TOO_SLOW = "It took too long"
PART_LOST = "A printed part is no longer there"
BROKEN = "The export met a defect of the renderer"
# As metrics name them.
NAMES = {**REASON_NAMES, TOO_SLOW: "too_slow", PART_LOST: "part_lost"}

log = structlog.get_logger()
_decode_part = msgspec.msgpack.Decoder(ExportPart).decode
_decode_archive = msgspec.msgpack.Decoder(ExportArchive).decode
_decode_documents = msgspec.msgpack.Decoder(list[ExportedDocument]).decode
_encode = msgspec.msgpack.Encoder().encode


class Press(Protocol):
    async def print(self, jobs: Sequence[RenderJob]) -> list[bytes | Exception]: ...


@dataclass(frozen=True, slots=True)
class Exporter:
    """``failed`` hears why a job or one of its documents came to nothing."""

    press: Press
    store: ObjectStore
    failed: Callable[[str], None] = lambda _: None

    async def part(self, path: str, payload: bytes, *, job_try: int) -> ExportDone:
        """Print a part into ``path``, unless it is there."""
        found = await read_whole(self.store, path)
        if found is not None:
            return exported(path, _decode_documents(found))
        if job_try > RENDER_TRIES_MAX:
            return ExportDone(key=path, error=GIVEN_UP)
        documents = await self._printed(_decode_part(payload))
        await put_once(self.store, path, _encode(documents))
        return exported(path, documents)

    async def archive(self, path: str, payload: bytes, *, job_try: int) -> ExportDone:
        """Join the parts into ``path``, unless it is there; whoever did not come to an end has left nothing."""
        if await size_of(self.store, path) is None:
            if job_try > RENDER_TRIES_MAX:
                return ExportDone(key=path, error=GIVEN_UP)
            await put_stream(self.store, path, self._joined(_decode_archive(payload)))
        return ExportDone(key=path)

    async def _printed(self, part: ExportPart) -> list[ExportedDocument]:
        jobs = [entry.job for entry in part.entries if entry.job is not None]
        results = iter(await self.press.print(jobs) if jobs else [])
        return [
            _missing(entry.document_id) if entry.job is None else self._outcome(entry.job, next(results))
            for entry in part.entries
        ]

    def _outcome(self, job: RenderJob, result: bytes | Exception) -> ExportedDocument:
        made = ExportedDocument(document_id=job.document_id, number=job.number, updated_at=job.updated_at)
        if isinstance(result, bytes):
            return msgspec.structs.replace(made, pdf=result)
        log.warning("export lacks a document", document=job.document_id, exc_info=result)
        reason = next((words for kind, words in REASONS.items() if isinstance(result, kind)), UNPRINTABLE)
        self.failed(NAMES[reason])
        return msgspec.structs.replace(made, error="internal_error", message=NOT_MADE.format(reason))

    async def _joined(self, wanted: ExportArchive) -> AsyncIterator[bytes]:
        archive = ARCHIVES[wanted.format]()
        for path in wanted.parts:
            data = await read_whole(self.store, path)
            if data is None:
                raise LookupError(PART_LOST)
            for document in _decode_documents(data):
                if written := await asyncio.to_thread(archive.add, document):
                    yield written
        yield await asyncio.to_thread(archive.end)


def _missing(document_id: str) -> ExportedDocument:
    return ExportedDocument(document_id=document_id, error="not_found", message=DELETED)


Task = Callable[..., Coroutine[Any, Any, ExportDone]]


async def export_part(ctx: dict[str, Any], path: str = "", payload: bytes = b"") -> None:
    """The function that arq calls; the job's id is the object's path, and its outcome is told to who waits."""
    await _perform(ctx, ctx["exporter"].part, path, payload, deadline_s=PART_TIMEOUT_S - MARGIN_S)


async def export_archive(ctx: dict[str, Any], path: str = "", payload: bytes = b"") -> None:
    await _perform(ctx, ctx["exporter"].archive, path, payload, deadline_s=ARCHIVE_TIMEOUT_S - MARGIN_S)


async def _perform(ctx: dict[str, Any], task: Task, path: str, payload: bytes, *, deadline_s: float) -> None:
    try:
        async with holding(ctx["redis"], ctx["job_id"]), deadline(deadline_s):
            done = await task(path, payload, job_try=ctx["job_try"])
    except NoBrowserError as error:
        raise Retry from error
    except Exception as error:
        log.exception("export failed", path=path)
        done = _failure(ctx["job_id"], error)
    if done.error:
        ctx["exporter"].failed(NAMES.get(done.error, "broken"))
    ctx[OUTCOME] = (EXPORT_DONE_CHANNEL, _encode(done))


def _failure(key: str, error: Exception) -> ExportDone:
    """The first kind that fits is the reason; a store that is away passes."""
    if isinstance(error, msgspec.MsgspecError):
        return ExportDone(key=key, error=MALFORMED)
    if isinstance(error, TimeoutError):
        return ExportDone(key=key, error=TOO_SLOW)
    if isinstance(error, (StoreError, OSError)):
        return ExportDone(key=key, error=UNSTORABLE, passes=True)
    return ExportDone(key=key, error=str(error) if isinstance(error, LookupError) else BROKEN)


@asynccontextmanager
async def holding(redis: ArqRedis, job_id: str) -> AsyncGenerator[None]:
    """Keep the job locked for as long as this lasts."""
    beating = asyncio.create_task(_beat(redis, job_id))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _beat(redis: ArqRedis, job_id: str) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            await redis.pexpire(f"{in_progress_key_prefix}{job_id}", LOCKED_S * 1000)
        except (RedisError, OSError) as error:
            log.warning("export lock not renewed", job=job_id, cause=str(error))


def functions() -> list[Function]:
    return [
        func(export_part, name=EXPORT_PART_FUNCTION, timeout=PART_TIMEOUT_S),
        func(export_archive, name=EXPORT_ARCHIVE_FUNCTION, timeout=ARCHIVE_TIMEOUT_S),
    ]
