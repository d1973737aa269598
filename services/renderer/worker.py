"""The composition root: a worker for single documents and one for exports, each with browsers of its own.

They outlive their Redis: what breaks there costs a pause, never the process.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog
import uvloop
from arq.connections import ArqRedis
from arq.worker import Function, Retry, func
from obstore.store import ObjectStore
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry as RedisRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.renderer.chromium import (
    FLAGS_FOR_MANY,
    Chromium,
    NoBrowserError,
    PrintError,
    open_chromium,
)
from services.renderer.exports import LOCKED_S, PART_TIMEOUT_S, Exporter
from services.renderer.exports import functions as export_functions
from services.renderer.fill import template_environment
from services.renderer.health import Wellness, create_app, serving
from services.renderer.logos import Logos
from services.renderer.metrics import Metrics, since_s
from services.renderer.presence import Presence
from services.renderer.press import Press
from services.renderer.preview import preview as make_preview
from services.renderer.queue import OUTCOME, QueueWorker
from services.renderer.render import MALFORMED, REASON_NAMES, Renderer
from services.renderer.settings import Settings, load_settings
from shared.log import configure_logging
from shared.messages import (
    EXPORT_QUEUE,
    PREVIEW_FUNCTION,
    RENDER_DONE_CHANNEL,
    RENDER_FUNCTION,
    RENDER_QUEUE,
    RenderDone,
)
from shared.objects import open_store
from shared.queue import RENDER_RETAKEN_AFTER_S, RENDER_TIMEOUT_S, Queue, encode_job
from shared.settings import SettingsError

# Beyond what prints, so that the next documents are filled already when a browser becomes free.
JOBS_AHEAD = 3
# A part of an export keeps a browser for half a second.
PARTS_AHEAD = 1
# At a signal; nearly all documents take less, and what takes more is left to the other workers.
FINISH_S = 20
# A document that ended its renderers does not end more of them while somebody asks for it again and again.
VERDICT_S = 300
# Of the browsers that print exports, so that single documents go first.
EXPORT_NICENESS = 10
BROKEN = "The document met a defect of the renderer"
NO_BROWSER = (
    "No headless browser starts: set CHROMIUM_PATH to chromium-headless-shell; the log above says why"
)
REDIS_TIMEOUT_S = 5.0
REDIS_PAUSE_S_MIN = 0.25
REDIS_PAUSE_S_MAX = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One queue with the browsers that serve it; ``context`` is what its functions are given."""

    queue: str
    functions: Sequence[Function]
    context: dict[str, Any]
    chromium: Chromium
    pages: int
    ahead: int = JOBS_AHEAD
    timeout_s: int = RENDER_TIMEOUT_S
    finish_s: int = FINISH_S
    verdict_s: int = 0
    locked_s: float = RENDER_RETAKEN_AFTER_S
    metrics: Metrics
    presence: Presence


def main() -> None:
    try:
        settings = load_settings()
        configure_logging("renderer", settings.log_level)
        logging.getLogger("arq").setLevel(logging.WARNING)  # It would log each job's bytes.
        uvloop.run(run(settings))
    except SettingsError as error:
        sys.exit(str(error))
    except (NoBrowserError, PrintError):
        sys.exit(NO_BROWSER)


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; what is under way then is finished. Raises NoBrowserError when none starts."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as stack:
        store = open_store(settings.object_store_url)
        lanes: list[Lane] = []
        if settings.renderer_pages:
            chromium = await stack.enter_async_context(browsers(settings, settings.renderer_pages))
            lanes.append(render_lane(chromium, settings.renderer_pages, store, metrics))
        if settings.renderer_export_pages:
            for_many = browsers(
                settings, settings.renderer_export_pages, niceness=EXPORT_NICENESS, flags=FLAGS_FOR_MANY
            )
            chromium = await stack.enter_async_context(for_many)
            lanes.append(export_lane(chromium, settings.renderer_export_pages, store, metrics))
        app = create_app({lane.queue: Wellness(lane.chromium, lane.presence) for lane in lanes}, metrics)
        # What is there by now stays, and to look through all of it again would hold up a print for 50 ms.
        gc.freeze()
        await stack.enter_async_context(serving(app, settings.renderer_host, settings.renderer_port))
        await asyncio.gather(*(serve(settings.queue_url, lane, stopping) for lane in lanes))


@contextlib.asynccontextmanager
async def browsers(
    settings: Settings, pages: int, *, niceness: int = 0, flags: tuple[str, ...] = ()
) -> AsyncGenerator[Chromium]:
    """Browsers that are up; raises NoBrowserError when one does not start."""
    async with open_chromium(
        path=settings.chromium_path,
        sandbox=_sandbox(settings),
        pages=pages,
        prints_max=settings.renderer_prints_max,
        memory_mb_max=settings.renderer_memory_mb_max,
        niceness=niceness,
        flags=flags,
    ) as chromium:
        await chromium.warm()
        yield chromium


def render_lane(chromium: Chromium, pages: int, store: ObjectStore, metrics: Metrics) -> Lane:
    renderer = Renderer(Press(template_environment(), chromium, Logos(store).read), store)
    lane = Lane(
        queue=RENDER_QUEUE,
        functions=(func(render, name=RENDER_FUNCTION), func(preview, name=PREVIEW_FUNCTION)),
        context={"renderer": renderer, "metrics": metrics},
        chromium=chromium,
        pages=pages,
        verdict_s=VERDICT_S,
        metrics=metrics,
        presence=Presence(chromium, pages),
    )
    _watch(lane)
    return lane


def export_lane(chromium: Chromium, pages: int, store: ObjectStore, metrics: Metrics) -> Lane:
    press = Press(template_environment(), chromium, Logos(store).read)
    exporter = Exporter(press, store, partial(metrics.fail, EXPORT_QUEUE))
    lane = Lane(
        queue=EXPORT_QUEUE,
        functions=export_functions(),
        context={"exporter": exporter},
        chromium=chromium,
        pages=pages,
        ahead=PARTS_AHEAD,
        timeout_s=PART_TIMEOUT_S,
        finish_s=PART_TIMEOUT_S,
        locked_s=LOCKED_S,
        metrics=metrics,
        presence=Presence(chromium, pages),
    )
    _watch(lane)
    return lane


def _watch(lane: Lane) -> None:
    """Have the lane's metrics read from where they are counted."""
    presence, tally = lane.presence, lane.chromium.tally
    tally.held = lane.metrics.print_s.labels(lane.queue).observe
    lane.metrics.replaced[lane.queue] = lambda: tally.replaced
    lane.metrics.readings[lane.queue] = lambda: {
        "invouno_render_queue_up": float(presence.is_heard),
        "invouno_render_queue_jobs": presence.depth.jobs,
        "invouno_render_queue_oldest_seconds": presence.depth.oldest_s,
        "invouno_renderer_pages": lane.pages,
        "invouno_renderer_memory_bytes": lane.chromium.memory_bytes,
        "invouno_renderer_idle_seconds": since_s(tally.last_use_s),
    }


async def serve(url: str, lane: Lane, stopping: asyncio.Event) -> None:
    """One arq worker after another, since an arq worker ends when its Redis does."""
    pause_s = REDIS_PAUSE_S_MIN
    while not stopping.is_set():
        redis = _open_redis(url)
        queue = Queue(redis, lane.queue)
        worker = new_worker(redis, queue, lane)
        telling = asyncio.create_task(lane.presence.keep_telling(queue, worker))
        await run_until(worker, stopping)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await redis.aclose(close_connection_pool=True)
        pause_s = REDIS_PAUSE_S_MIN if worker.jobs_complete else min(pause_s * 2, REDIS_PAUSE_S_MAX)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause_s)


def new_worker(redis: ArqRedis, queue: Queue, lane: Lane) -> QueueWorker:
    waited, took = lane.metrics.wait_s.labels(lane.queue), lane.metrics.job_s.labels(lane.queue)

    def ended(seconds: float) -> None:
        lane.presence.documents += 1
        took.observe(seconds)

    return QueueWorker(
        redis,
        queue,
        lane.functions,
        slots=lane.pages + lane.ahead,
        timeout_s=lane.timeout_s,
        finish_s=lane.finish_s,
        verdict_s=lane.verdict_s,
        locked_s=lane.locked_s,
        context=lane.context,
        taken=lambda taken: waited.observe(taken.waited_s),
        ended=ended,
        is_able=lane.chromium.can_start,
    )


async def run_until(worker: QueueWorker, stopping: asyncio.Event) -> None:
    """Serve the queue until ``stopping`` or until Redis is lost; what is under way is finished either way."""
    serving = asyncio.create_task(worker.async_run())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait((serving, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not serving.done():
        worker.handle_sig_wait_for_completion(signal.SIGTERM)
        await asyncio.wait((serving,))
    elif worker.tasks:
        await asyncio.wait(worker.tasks.values(), timeout=FINISH_S)
    if not serving.cancelled() and (error := serving.exception()):
        log.warning("queue lost", exc_info=error)
    await worker.close()


async def render(ctx: dict[str, Any], path: str = "", payload: bytes = b"") -> None:
    """The function that arq calls; the job's id is the render key, and its outcome is told to who waits."""
    await _report(ctx, ctx["renderer"].render, path, payload)


async def preview(ctx: dict[str, Any], path: str = "", payload: bytes = b"") -> None:
    await _report(ctx, partial(ctx["renderer"].render, make=make_preview), path, payload)


async def _report(
    ctx: dict[str, Any], perform: Callable[..., Awaitable[str]], path: str, payload: bytes
) -> None:
    try:
        error = await perform(path, payload, job_try=ctx["job_try"]) if path else MALFORMED
    except NoBrowserError as error:
        raise Retry from error
    except Exception:
        log.exception("render broke", path=path)
        error = BROKEN
    if error:
        ctx["metrics"].fail(RENDER_QUEUE, REASON_NAMES.get(error, "broken"))
    done = RenderDone(key=ctx["job_id"], error=error)
    ctx[OUTCOME] = (RENDER_DONE_CHANNEL, msgspec.msgpack.encode(done))


def _open_redis(url: str) -> ArqRedis:
    """A connection that is lost for a moment, as in a restart or failover, is had again without a word."""
    connections = ConnectionPool.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=RedisRetry(ExponentialBackoff(cap=1, base=0.05), retries=6),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    return ArqRedis(connections, job_serializer=encode_job, default_queue_name=RENDER_QUEUE)


def _sandbox(settings: Settings) -> bool:
    return os.geteuid() != 0 if settings.chromium_sandbox is None else settings.chromium_sandbox
