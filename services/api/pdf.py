"""PDFs: ask for a render, wait for the push, stream from the object store; nothing is rendered here."""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from arq.connections import ArqRedis
from obstore.exceptions import BaseError as ObjectError
from obstore.store import ObjectStore
from redis.exceptions import RedisError

from shared import objects
from shared.errors import Problem
from shared.messages import RENDER_DONE_CHANNEL, RENDER_FUNCTION, RenderDone, RenderJob
from shared.objects import File
from shared.page_cache import PageCache
from shared.queue import Queue

LOOK_AGAIN_S = 2.0  # the backstop for a push that was lost while Redis was away
JOB_EXPIRES_S = 300.0  # nobody waits that long; a queue that stood still does not print for nobody
RECONNECT_S = 0.5
DELETE_S = 5.0
# What was made and is gone may have gone with its document, and is made once more; a second time is no accident.
PRINTS_MAX = 2
NOT_SHARED = "The gateway and the renderers may not share one OBJECT_STORE_URL"
WHOLE_BYTES_MAX = 1024 * 1024  # a larger file is streamed, and not kept

log = structlog.get_logger()
# Has the logo of a path in the object store.
PlaceLogo = Callable[[str], Awaitable[None]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RenderDone)


class Render(msgspec.Struct, frozen=True):
    """A job with its name: ``key`` is the SHA-256 of all that its bytes depend on, and so also their ETag.

    ``function`` is what the renderers know it by; ``logo`` is the path of an object that they need, or empty.
    """

    key: str
    path: str
    payload: bytes
    logo: str = ""
    function: str = RENDER_FUNCTION


def as_render(account_id: str, job: RenderJob) -> Render:
    payload = _encoder.encode(job)
    key = hashlib.sha256(payload).hexdigest()
    return Render(key, f"{document_folder(account_id, job.document_id)}/{key}.pdf", payload, job.logo)


def document_folder(account_id: str, document_id: str) -> str:
    """Where all the PDFs of a document lie, so that they can go with it."""
    return f"pdf/{account_id}/{document_id}"


class Recent:
    """The small files that were asked for last, by the key of their render; what a key names never changes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        found = self._files.get(key)
        if found is not None:
            self._files.move_to_end(key)
        return found

    def keep(self, key: str, file: bytes) -> None:
        if key in self._files or len(file) > self._bytes_max:
            return
        self._files[key] = file
        self._bytes += len(file)
        while self._bytes > self._bytes_max:
            self._bytes -= len(self._files.popitem(last=False)[1])


class Pdfs:
    """``queue_wait_s_max`` bounds how long a new render may have to wait for its turn."""

    def __init__(
        self,
        redis: ArqRedis,
        store: ObjectStore,
        place_logo: PlaceLogo,
        *,
        wait_s: float,
        queue_wait_s_max: float,
        cache_bytes_max: int,
    ) -> None:
        self._redis = redis
        self._queue = Queue(redis)
        self._store = store
        self._page_cache = PageCache(store)
        self._place_logo = place_logo
        self._wait_s = wait_s
        self._queue_wait_s_max = queue_wait_s_max
        self._recent = Recent(cache_bytes_max)
        self._waiting: dict[str, set[asyncio.Future[RenderDone]]] = {}

    async def get(self, render: Render) -> File:
        """The file, rendered first if need be; raises render_timeout, unavailable or internal_error."""
        if (recent := self._recent.get(render.key)) is not None:
            return recent
        try:
            async with asyncio.timeout(self._wait_s):
                file = await self._read(render) or await self._rendered(render)
        except TimeoutError:
            raise Problem("render_timeout", "The PDF is not ready yet; ask again", retry_after_s=5) from None
        except (RedisError, ObjectError) as error:
            raise _unavailable() from error
        if isinstance(file, bytes):
            self._recent.keep(render.key, file)
        return file

    async def delete(self, account_id: str, document_id: str) -> None:
        async with asyncio.timeout(DELETE_S):
            await objects.delete_under(self._store, document_folder(account_id, document_id))

    async def ping(self) -> None:
        await self._redis.ping()

    async def _read(self, render: Render) -> File | None:
        if (held := self._page_cache.read(render.path, bytes_max=WHOLE_BYTES_MAX)) is not None:
            return held
        return await objects.read_file(self._store, render.path, whole_bytes_max=WHOLE_BYTES_MAX)

    async def _rendered(self, render: Render) -> File:
        if render.logo:
            await self._place_logo(render.logo)
        for _ in range(PRINTS_MAX):
            if (file := await self._asked(render)) is not None:
                return file
        log.error("pdf_not_where_it_was_put", path=render.path, hint=NOT_SHARED)
        raise Problem("internal_error", "The PDF was made, but it is not where it should be")

    async def _asked(self, render: Render) -> File | None:
        """Enqueue, wait for the push; look now and then, in case it was lost. None when it was made and is gone."""
        done: asyncio.Future[RenderDone] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(render.key, set())
        waiting.add(done)
        try:
            while True:
                await self._enqueue(render)
                await asyncio.wait((done,), timeout=LOOK_AGAIN_S)
                told = done.done()
                if told and (error := done.result().error):
                    raise Problem("internal_error", f"The PDF could not be made: {error}")
                if (found := await self._read(render)) is not None or told:
                    return found
        finally:
            waiting.discard(done)
            if not waiting:
                self._waiting.pop(render.key, None)

    async def _enqueue(self, render: Render) -> None:
        """Onto the queue, or beside who waits there for the same; raises unavailable when the queue is too long."""
        over_s = await self._queue.enqueue(
            render.function,
            (render.path, render.payload),
            job_id=render.key,
            expires_s=JOB_EXPIRES_S,
            wait_s_max=self._queue_wait_s_max,
        )
        if over_s:
            raise Problem(
                "unavailable", "Too many PDFs wait to be printed; try again", retry_after_s=math.ceil(over_s)
            )

    async def listen(self) -> None:
        """Take in what renderers publish, for as long as the gateway lives."""
        while True:
            try:
                await self._listen_once()
            except (RedisError, OSError) as error:
                log.warning("render_pushes_lost", cause=str(error))
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(RENDER_DONE_CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    self._tell(_decoder.decode(message["data"]))

    def _tell(self, done: RenderDone) -> None:
        for future in self._waiting.get(done.key, ()):
            if not future.done():
                future.set_result(done)


def _unavailable() -> Problem:
    return Problem("unavailable", "PDFs cannot be made right now; try again", retry_after_s=2)
