"""The gateway's composition root: builds what lives as long as the process, and hangs the doors on their paths."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from arq.connections import ArqRedis
from obstore.store import ObjectStore
from starlette.routing import Route, Router
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
from services.api.lane import Lane
from services.api.leftovers import sweep_leftovers
from services.api.logos import Logos
from services.api.meter import open_meter
from services.api.metering import open_metering
from services.api.outage import OpenCalls
from services.api.pdf import Pdfs
from services.api.problems import problem_answer
from services.api.renaming import follow_renames
from services.api.reservations import sweep_reservations
from services.api.routes import (
    account,
    bulk_clients,
    bulk_documents,
    by_external_id,
    clients,
    documents,
    exports,
    health,
    logo,
    pdfs,
    streams,
    templates,
    usage,
)
from services.api.seeding import Seeding
from services.api.settings import Settings
from services.api.streams import Streams
from shared.errors import Problem
from shared.objects import open_store
from shared.postgres import open_pool
from shared.queue import open_queue
from shared.tasks import stop_tasks
from shared.templates import TEMPLATES

STATEMENT_TIMEOUT_S = 10.0
# A meter that hangs is known to within this, twice; it answers in a fraction of a millisecond.
METER_TIMEOUT_S = 0.25

# The first that fits is taken: what has a name of its own stands before what is any id.
DOORS: dict[str, Door] = {
    **streams.DOORS,
    **by_external_id.DOORS,
    **bulk_documents.DOORS,
    **bulk_clients.DOORS,
    **documents.DOORS,
    **pdfs.DOORS,
    **clients.DOORS,
    **templates.DOORS,
    **usage.DOORS,
    **account.DOORS,
    **logo.DOORS,
    **exports.DOORS,
}


def create_app(settings: Settings) -> Router:
    """A router and no more: each door answers for all that goes wrong behind it."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncGenerator[State]:
        async with open_state(settings) as state:
            yield state

    routes = [Route(path, door) for path, door in (DOORS | health.CHECKS).items()]
    return Router(routes, redirect_slashes=False, default=not_found, lifespan=lifespan)


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
        follow_renames(pool),
        sweep,
        open_calls.keep_sending(),
        exporting.run(),
        sweep_leftovers(pool, store, pdf_wait_s=settings.pdf_wait_s),
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
            lane=Lane(),
            logos=logos,
            streams=Streams(most=settings.streams_max, of_account=settings.streams_per_account_max),
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
