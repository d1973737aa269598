"""The composition root: an arq worker that renders jobs from the queue and tells who waits when each is done.

It outlives its Redis: what breaks there costs a pause, never the process.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.renderer.chromium import PrintError, open_chromium
from services.renderer.fill import template_environment
from services.renderer.logos import Logos
from services.renderer.press import Press
from services.renderer.preview import preview
from services.renderer.queue import OUTCOME, QueueWorker
from services.renderer.render import MALFORMED, Maker, Renderer, document
from services.renderer.settings import Settings, load_settings
from shared.log import configure_logging
from shared.messages import PREVIEW_FUNCTION, RENDER_DONE_CHANNEL, RENDER_FUNCTION, RENDER_QUEUE, RenderDone
from shared.objects import open_store
from shared.queue import RENDER_TIMEOUT_S, Queue, encode_job
from shared.settings import SettingsError

# Beyond what prints, so that the next document is already here when a browser becomes free.
JOBS_AHEAD = 1
BROKEN = "The document met a defect of the renderer"
NO_BROWSER = (
    "No headless browser starts: set CHROMIUM_PATH to chromium-headless-shell; the log above says why"
)
REDIS_TIMEOUT_S = 5.0
REDIS_PAUSE_S_MIN = 0.25
REDIS_PAUSE_S_MAX = 5.0

log = structlog.get_logger()


def main() -> None:
    try:
        settings = load_settings()
        configure_logging("renderer", settings.log_level)
        logging.getLogger("arq").setLevel(logging.WARNING)  # It would log each job's bytes.
        asyncio.run(run(settings))
    except SettingsError as error:
        sys.exit(str(error))
    except PrintError:
        sys.exit(NO_BROWSER)


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; what is under way then is finished. Raises PrintError when no browser starts."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with open_chromium(
        path=settings.chromium_path,
        sandbox=_sandbox(settings),
        pages=settings.renderer_pages,
        prints_max=settings.renderer_prints_max,
    ) as chromium:
        await chromium.warm()
        store = open_store(settings.object_store_url)
        renderer = Renderer(Press(template_environment(), chromium, Logos(store).read), store)
        await serve(settings, renderer, stopping)


async def serve(settings: Settings, renderer: Renderer, stopping: asyncio.Event) -> None:
    """One arq worker after another, since an arq worker ends when its Redis does."""
    pause_s = REDIS_PAUSE_S_MIN
    while not stopping.is_set():
        redis = _open_redis(settings.queue_url)
        worker = new_worker(redis, renderer, pages=settings.renderer_pages)
        await run_until(worker, stopping)
        await redis.aclose(close_connection_pool=True)
        pause_s = REDIS_PAUSE_S_MIN if worker.jobs_complete else min(pause_s * 2, REDIS_PAUSE_S_MAX)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause_s)


def new_worker(redis: ArqRedis, renderer: Renderer, *, pages: int) -> Worker:
    return QueueWorker(
        redis,
        Queue(redis, RENDER_QUEUE),
        [func(render, name=RENDER_FUNCTION), func(render_preview, name=PREVIEW_FUNCTION)],
        slots=pages + JOBS_AHEAD,
        timeout_s=RENDER_TIMEOUT_S,
        context={"renderer": renderer},
        taken=lambda _taken: None,
    )


async def run_until(worker: Worker, stopping: asyncio.Event) -> None:
    """Serve the queue until ``stopping`` or until Redis is lost; what is under way is finished either way."""
    serving = asyncio.create_task(worker.async_run())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait((serving, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not serving.done():
        worker.handle_sig_wait_for_completion(signal.SIGTERM)
        await asyncio.wait((serving,))
    elif worker.tasks:
        await asyncio.wait(worker.tasks.values(), timeout=RENDER_TIMEOUT_S)
    if not serving.cancelled() and (error := serving.exception()):
        log.warning("queue lost", exc_info=error)
    with contextlib.suppress(RedisError, OSError):
        await worker.close()


async def render(ctx: dict[str, Any], path: str = "", payload: bytes = b"") -> None:
    """A function that arq calls; the job's id is the render key, and its outcome is told to who waits."""
    await _make(ctx, document, path, payload)


async def render_preview(ctx: dict[str, Any], path: str = "", payload: bytes = b"") -> None:
    await _make(ctx, preview, path, payload)


async def _make(ctx: dict[str, Any], make: Maker, path: str, payload: bytes) -> None:
    renderer: Renderer = ctx["renderer"]
    tries = ctx["job_try"]
    try:
        error = await renderer.render(path, payload, job_try=tries, make=make) if path else MALFORMED
    except Exception:
        log.exception("render broke", path=path)
        error = BROKEN
    done = RenderDone(key=ctx["job_id"], error=error)
    ctx[OUTCOME] = (RENDER_DONE_CHANNEL, msgspec.msgpack.encode(done))


def _open_redis(url: str) -> ArqRedis:
    """A connection that is lost for a moment, as in a restart or failover, is had again without a word."""
    connections = ConnectionPool.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), retries=6),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    return ArqRedis(connections, job_serializer=encode_job, default_queue_name=RENDER_QUEUE)


def _sandbox(settings: Settings) -> bool:
    return os.geteuid() != 0 if settings.chromium_sandbox is None else settings.chromium_sandbox
