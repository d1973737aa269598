"""The runner of exports: takes up parts by lease, asks for their prints, joins them, and clears what has expired.

Every gateway runs one. PostgreSQL says whose turn it is and who sees to a part; nothing is rendered here.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import structlog
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from obstore.exceptions import BaseError as ObjectError
from obstore.store import ObjectStore
from redis.exceptions import RedisError

from services.api.domain.export import fitting
from services.api.http import encode_json
from services.api.logos import Logos
from services.api.routes.shapes import render_job
from services.api.store import export_parts, exports
from services.api.store.export_parts import PartRow
from shared import objects
from shared.errors import Problem
from shared.messages import (
    EXPORT_ARCHIVE_FUNCTION,
    EXPORT_DONE_CHANNEL,
    EXPORT_PART_FUNCTION,
    EXPORT_QUEUE,
    ExportArchive,
    ExportDone,
    ExportedDocument,
    ExportEntry,
    ExportPart,
    RenderJob,
    exported,
)
from shared.postgres import Pool, acquired
from shared.queue import Queue

# Of one export at a time, so that a queue is never long with one account's parts.
PARTS_HELD_MAX = 4
# By one gateway: at most some megabytes each, in Redis until they are printed.
HELD_MAX = 16
LEASE = timedelta(seconds=30)
RENEW_S = 8.0
POLL_S = 1.0  # for what other gateways have made or left; one's own wakes at once
LOOK_AGAIN_S = 5.0  # the backstop for a push that was lost while Redis was away
JOB_EXPIRES_S = 3600.0
RECONNECT_S = 0.5
PAUSE = timedelta(seconds=3)
# Takings of a part that came to nothing without a word, as from a gateway that died of it, or failures to join.
ATTEMPTS_MAX = 5
EXPIRES = timedelta(days=7)
FORGOTTEN = timedelta(days=30)
GIVEN_UP_AFTER = timedelta(days=2)
# By then no worker can still be writing what a cancelled export has asked for.
CLEANED_AFTER = timedelta(minutes=15)
SWEEP_S = 60.0
SWEPT_MAX = 100
DELETE_S = 10.0

GIVEN_UP = "The PDF could not be made: the document ended the renderer each time it was tried"
NONE_PRINTED = "None of the documents could be printed"
NOT_JOINED = "The file could not be put together: {}"
TRIED_TOO_OFTEN = "it was tried too often"
TOO_LONG = "The export did not come to an end within two days"

log = structlog.get_logger()
_encoder = msgspec.msgpack.Encoder()
_decode_done = msgspec.msgpack.Decoder(ExportDone).decode
_decode_documents = msgspec.msgpack.Decoder(list[ExportedDocument]).decode

# What passes: the part is taken up again after a pause, and it has not been attempted.
_PASSING = (OSError, RedisError, ObjectError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostponedError(OSError):
    """A renderer could not do it now."""


class Exports:
    def __init__(self, pool: Pool, queue: ArqRedis, store: ObjectStore, logos: Logos) -> None:
        self._pool = pool
        self._redis = queue
        self._queue = Queue(queue, EXPORT_QUEUE)
        self._store = store
        self._logos = logos
        self._holder = secrets.token_hex(8)
        self._held: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._ending: set[tuple[str, int]] = set()
        self._waiting: dict[str, asyncio.Future[ExportDone]] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def drop(self, account_id: str, export_id: str, paths: list[str]) -> None:
        """Take what nobody has begun off the queue, and delete what there is; the sweep deletes what comes later."""
        async with asyncio.timeout(DELETE_S):
            await self._redis.zrem(EXPORT_QUEUE, *paths)
            await self._redis.delete(*(f"{job_key_prefix}{path}" for path in paths))
            await objects.delete_under(self._store, export_folder(account_id, export_id))

    async def open(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """A file's bytes from ``start`` to before ``end``; raises not_found."""
        if await objects.size_of(self._store, path) is None:
            raise Problem("not_found", "The file is no longer there; make a new export")
        return objects.read_range(self._store, path, start, end)

    async def run(self) -> None:
        """See to parts for as long as the gateway lives; what is under way then is left to the other gateways."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._take, self._renew, self._listen, self._sweep):
                    group.create_task(self._forever(work))
        finally:
            for task in self._held.values():
                task.cancel()
            await asyncio.gather(*self._held.values(), return_exceptions=True)
            with contextlib.suppress(*_PASSING):
                async with acquired(self._pool) as connection:
                    await export_parts.release_all(connection, self._holder)

    async def _forever(self, work: "Work") -> None:
        while True:
            try:
                await work()
            except _PASSING as error:
                log.warning("exports_postponed", work=work.__name__, cause=f"{type(error).__name__}: {error}")
            except Exception:
                log.exception("exports_broke", work=work.__name__)
            else:
                continue
            await asyncio.sleep(RECONNECT_S)

    async def _take(self) -> None:
        self._wake.clear()
        while len(self._held) < HELD_MAX and (part := await self._claimed()):
            key = (part.export_id, part.first)
            self._held[key] = task = asyncio.create_task(self._see_to(part))
            task.add_done_callback(lambda _, key=key: self._ended(key))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads gateways
                await self._wake.wait()

    async def _claimed(self) -> PartRow | None:
        async with acquired(self._pool) as connection:
            return await export_parts.claim_part(
                connection, self._holder, lease=LEASE, parts_max=PARTS_HELD_MAX
            )

    def _ended(self, key: tuple[str, int]) -> None:
        self._held.pop(key, None)
        self._ending.discard(key)
        self._wake.set()

    async def _renew(self) -> None:
        """Keep the leases; leave what is no longer ours, since it was cancelled or taken over."""
        await asyncio.sleep(RENEW_S)
        held = set(self._held)
        if held:
            async with acquired(self._pool) as connection:
                renewed = await export_parts.renew_leases(connection, self._holder, lease=LEASE)
            for key in held - renewed - self._ending:
                if task := self._held.get(key):
                    task.cancel()

    async def _listen(self) -> None:
        """Take in what renderers publish."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(EXPORT_DONE_CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    self._tell(_decode_done(message["data"]))

    def _tell(self, done: ExportDone) -> None:
        future = self._waiting.get(done.key)
        if future is not None and not future.done():
            future.set_result(done)

    async def _see_to(self, part: PartRow) -> None:
        try:
            await (self._print(part) if part.count else self._join(part))
        except _PASSING as error:
            log.warning("export_part_postponed", export=part.export_id, first=part.first, cause=repr(error))
            await self._release(part, counted=False)
        except Exception:
            log.exception("export_part_broke", export=part.export_id, first=part.first)
            await self._release(part, counted=True)

    async def _release(self, part: PartRow, *, counted: bool) -> None:
        """If this does not reach the database either, the lease ends by itself."""
        with contextlib.suppress(*_PASSING):
            async with acquired(self._pool) as connection:
                await export_parts.release_part(connection, part, self._holder, pause=PAUSE, counted=counted)

    async def _print(self, part: PartRow) -> None:
        if part.attempts > ATTEMPTS_MAX:
            await self._unprintable(part, GIVEN_UP)
            return
        part = await self._fitted(part)
        path = part_path(part.account_id, part.export_id, part.first, part.count)
        done = await self._printed(path)
        if done is None:
            done = await self._asked(path, EXPORT_PART_FUNCTION, await self._payload(part), self._printed)
        if done.error:
            await self._unprintable(part, done.error)
        else:
            await self._finish_part(part, done)

    async def _fitted(self, part: PartRow) -> PartRow:
        """The part, cut after what one job can carry."""
        async with acquired(self._pool) as connection:
            weights = await exports.select_weights(connection, part.account_id, part.document_ids)
        count = fitting(part.document_ids, weights)
        if count == part.count:
            return part
        await self._cut(part, count)
        self.wake()
        return msgspec.structs.replace(part, count=count, document_ids=part.document_ids[:count])

    async def _cut(self, part: PartRow, count: int) -> None:
        """Raises PostponedError when the part has changed under our hands."""
        async with acquired(self._pool) as connection, connection.transaction():
            if not await export_parts.shorten_part(connection, part, count):
                raise PostponedError("the part is another by now")
            await export_parts.insert_part(connection, part, count)

    async def _payload(self, part: PartRow) -> bytes:
        async with acquired(self._pool) as connection:
            rows = await exports.select_documents_with_sellers(connection, part.account_id, part.document_ids)
        today = datetime.now(ZoneInfo(part.time_zone)).date()
        jobs: dict[str, RenderJob] = {}
        for document_id, (row, seller) in rows.items():
            jobs[document_id] = render_job(part.account_id, row, seller, today)
            await asyncio.sleep(0)  # others have their turn between two documents
        for logo in {job.logo for job in jobs.values() if job.logo}:
            await self._logos.place(logo)
        entries = tuple(ExportEntry(document_id=one, job=jobs.get(one)) for one in part.document_ids)
        return _encoder.encode(ExportPart(entries=entries))

    async def _unprintable(self, part: PartRow, error: str) -> None:
        """A part that fails as a whole is tried in halves, until the document at fault is alone."""
        if part.count > 1:
            await self._cut(part, part.count // 2)
            await self._release(part, counted=False)
            return
        fault = ExportedDocument(document_id=part.document_ids[0], error="internal_error", message=error)
        path = part_path(part.account_id, part.export_id, part.first, part.count)
        await objects.put_once(self._store, path, _encoder.encode([fault]))
        await self._finish_part(part, exported(path, [fault]))

    async def _finish_part(self, part: PartRow, done: ExportDone) -> None:
        failed = len(done.faults)
        faults = encode_json(done.faults).decode()
        async with acquired(self._pool) as connection, connection.transaction():
            running = await exports.count_printed(
                connection,
                part.account_id,
                part.export_id,
                done=done.done,
                failed=failed,
                now=datetime.now(UTC),
            )
            if running and not await export_parts.finish_part(connection, part, failed=failed, faults=faults):
                raise PostponedError("the part is finished, or another by now")

    async def _join(self, part: PartRow) -> None:
        if part.failed == part.total:
            await self._finish(part, state="failed", message=NONE_PRINTED)
            return
        if part.attempts > ATTEMPTS_MAX:
            await self._finish(part, state="failed", message=NOT_JOINED.format(TRIED_TOO_OFTEN))
            return
        async with acquired(self._pool) as connection:
            parts = await export_parts.select_parts(connection, part.account_id, part.export_id)
        paths = tuple(part_path(part.account_id, part.export_id, first, count) for first, count in parts)
        payload = _encoder.encode(ExportArchive(format=part.format, parts=paths))
        path = archive_path(part.account_id, part.export_id)
        done = await self._joined(path) or await self._asked(
            path, EXPORT_ARCHIVE_FUNCTION, payload, self._joined
        )
        if done.error:
            await self._unjoined(part, done.error)
            return
        await self._finish(part, state="ready")
        await objects.delete_each(self._store, paths)

    async def _unjoined(self, part: PartRow, error: str) -> None:
        """All that was printed is there, and whoever ended the renderers may be gone: it is tried again, to a bound."""
        if part.attempts >= ATTEMPTS_MAX:
            await self._finish(part, state="failed", message=NOT_JOINED.format(error))
            return
        log.warning("export_not_joined", export=part.export_id, attempts=part.attempts, cause=error)
        await self._release(part, counted=True)

    async def _finish(self, part: PartRow, *, state: str, message: str | None = None) -> None:
        now = datetime.now(UTC)
        ready = state == "ready"
        path = archive_path(part.account_id, part.export_id)
        size_bytes = await objects.size_of(self._store, path) if ready else None
        self._ending.add((part.export_id, part.first))
        async with acquired(self._pool) as connection:
            await exports.finish_export(
                connection,
                part.account_id,
                part.export_id,
                state=state,
                message=message,
                now=now,
                size_bytes=size_bytes,
                expires_at=now + EXPIRES if ready else None,
            )

    async def _asked(self, path: str, function: str, payload: bytes, look: "Look") -> ExportDone:
        """Enqueue, wait for the push; look for the object now and then, in case the push was lost.

        Raises PostponedError.
        """
        future: asyncio.Future[ExportDone] = asyncio.get_running_loop().create_future()
        self._waiting[path] = future
        try:
            while True:
                await self._queue.enqueue(function, (path, payload), job_id=path, expires_s=JOB_EXPIRES_S)
                await asyncio.wait((future,), timeout=LOOK_AGAIN_S)
                done = future.result() if future.done() else await look(path)
                if done is not None and done.passes:
                    raise PostponedError(done.error)
                if done is not None:
                    return done
        finally:
            self._waiting.pop(path, None)

    async def _printed(self, path: str) -> ExportDone | None:
        data = await objects.read_whole(self._store, path)
        return None if data is None else exported(path, _decode_documents(data))

    async def _joined(self, path: str) -> ExportDone | None:
        found = await objects.size_of(self._store, path)
        return None if found is None else ExportDone(key=path)

    async def _sweep(self) -> None:
        await asyncio.sleep(SWEEP_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads gateways
        await self.sweep(datetime.now(UTC))

    async def sweep(self, now: datetime) -> None:
        """Expire, give up, delete what is left of those without a file, and forget the oldest; twice harms nobody."""
        async with acquired(self._pool) as connection:
            await exports.expire_exports(connection, now=now, limit=SWEPT_MAX)
            await exports.give_up_exports(connection, before=now - GIVEN_UP_AFTER, now=now, message=TOO_LONG)
            await exports.delete_old_exports(connection, before=now - FORGOTTEN, limit=SWEPT_MAX)
            uncleaned = await exports.select_uncleaned(
                connection, before=now - CLEANED_AFTER, limit=SWEPT_MAX
            )
        for account_id, export_id in uncleaned:
            await objects.delete_under(self._store, export_folder(account_id, export_id))
            async with acquired(self._pool) as connection:
                await exports.mark_cleaned(connection, account_id, export_id, now=now)


Work = Callable[[], Awaitable[None]]
Look = Callable[[str], Awaitable[ExportDone | None]]


def export_folder(account_id: str, export_id: str) -> str:
    return f"export/{account_id}/{export_id}"


def part_path(account_id: str, export_id: str, first: int, count: int) -> str:
    """Where a printed part lies, and the id of its job; a part that was cut is another one."""
    return f"{export_folder(account_id, export_id)}/part-{first:05}-{count}"


def archive_path(account_id: str, export_id: str) -> str:
    return f"{export_folder(account_id, export_id)}/archive"
