"""The gateway's composition root: builds what lives as long as the process, and hangs the doors on their paths."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus

from arq.connections import ArqRedis
from obstore.store import ObjectStore
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.api.admission import Admission
from services.api.auth import Keys
from services.api.call import State
from services.api.domain.document import Documents
from services.api.door import Door
from services.api.expiry import expire_idempotency
from services.api.exports import Exports
from services.api.folding import fold_counts
from services.api.http import request_id, send_answer
from services.api.logos import Logos
from services.api.meter import open_meter
from services.api.metering import open_metering
from services.api.outage import OpenCalls
from services.api.pdf import Pdfs
from services.api.problems import problem_answer
from services.api.reservations import sweep_reservations
from services.api.routes import account, clients, documents, exports, health, logo, pdfs, templates, usage
from services.api.seeding import Seeding
from services.api.settings import Settings
from shared.errors import Problem
from shared.objects import open_store
from shared.postgres import open_pool
from shared.queue import open_queue
from shared.tasks import stop_tasks
from shared.templates import TEMPLATES

STATEMENT_TIMEOUT_S = 10.0
# A meter that hangs is known to within this, twice; it answers in a fraction of a millisecond.
METER_TIMEOUT_S = 0.25

DOORS: dict[str, Door] = {
    **documents.DOORS,
    **pdfs.DOORS,
    **clients.DOORS,
    **templates.DOORS,
    **usage.DOORS,
    **account.DOORS,
    **logo.DOORS,
    **exports.DOORS,
}


def create_app(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[State]:
        async with open_state(settings) as state:
            yield state

    routes = [
        *(Route(path, door) for path, door in DOORS.items()),
        Route("/health/live", health.live),
        Route("/health/ready", health.ready),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: refuse})
    app.router.redirect_slashes = False
    app.router.default = not_found
    return app


@asynccontextmanager
async def open_state(settings: Settings) -> AsyncGenerator[State]:
    """All parts, opened lazily: the gateway starts before its stores and finds them when they come."""
    pool = await open_pool(
        settings.database_url,
        size_max=settings.database_connections_max,
        statement_timeout_s=STATEMENT_TIMEOUT_S,
        sessions_matter=False,
    )
    meter = open_meter(settings.meter_url, timeout_s=METER_TIMEOUT_S)
    queue = open_queue(settings.queue_url)
    metering = open_metering(settings.metering_url, settings.service_token)
    store = open_store(settings.object_store_url)
    logos = Logos(pool, store)
    rendered = _pdfs(settings, queue, store, logos)
    exporting = Exports(pool, queue, store, logos)
    admission = Admission(meter, Seeding(metering.seed).seed)
    sweep = sweep_reservations(pool, meter, admission, kept_s=settings.reservation_kept_s)
    open_calls = OpenCalls(metering.take_events, allowed=settings.meter_down == "fail_open")
    works = (
        rendered.listen(),
        expire_idempotency(pool),
        fold_counts(pool),
        sweep,
        open_calls.keep_sending(),
        exporting.run(),
    )
    background = [asyncio.create_task(work) for work in works]
    try:
        yield State(
            pool=pool,
            keys=Keys(pool),
            admission=admission,
            metering=metering,
            open_calls=open_calls,
            pdfs=rendered,
            exports=exporting,
            documents=Documents(tuple(template.id for template in TEMPLATES)),
            logos=logos,
        )
    finally:
        await stop_tasks(background)
        await admission.finish()
        await open_calls.send_all()
        await metering.aclose()
        await queue.aclose()
        await meter.aclose()
        await pool.close()


def _pdfs(settings: Settings, queue: ArqRedis, store: ObjectStore, logos: Logos) -> Pdfs:
    return Pdfs(
        queue,
        store,
        logos.place,
        wait_s=settings.pdf_wait_s,
        queue_wait_s_max=settings.pdf_queue_wait_s_max,
        cache_bytes_max=settings.pdf_cache_mb * 1024 * 1024,
    )


async def not_found(scope: Scope, _receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    answer = problem_answer(Problem("not_found", "There is no such path"))
    await send_answer(answer, [(b"x-request-id", request_id(scope))], send, head=scope["method"] == "HEAD")


async def refuse(request: Request, error: Exception) -> Response:
    """Starlette's own refusals on the health paths, in the form of all others."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    given = error.headers if isinstance(error, HTTPException) else None
    headers = {**(given or {}), "x-request-id": request_id(request.scope).decode()}
    code = "method_not_allowed" if status == HTTPStatus.METHOD_NOT_ALLOWED else "internal_error"
    return JSONResponse({"error": code, "message": HTTPStatus(status).phrase}, status, headers)
