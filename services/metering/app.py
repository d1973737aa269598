"""Composition root: stores, background work, routes, and which error becomes which answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount

from services.metering.admission import Admission
from services.metering.auth import ServiceAuth
from services.metering.consumer import in_background
from services.metering.http import (
    answer_defect,
    answer_http_error,
    answer_outage,
    answer_problem,
)
from services.metering.library import read_library
from services.metering.routes import HEALTH, INTERNAL, State
from services.metering.seeding import Seeder
from services.metering.settings import Settings
from services.metering.stores import STORE_ERRORS, Stores
from shared.errors import Problem
from shared.messages import METER_SHARDS
from shared.postgres import Pool, open_pool
from shared.redis import open_redis

# One connection per owned shard, and as many for the routes.
POOL_SIZE_MAX = 2 * METER_SHARDS
STATEMENT_TIMEOUT_S = 10.0
REDIS_TIMEOUT_S = 2.0
PATIENT_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 3.0


def create_app(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State]:
        async with open_stores(settings) as stores, in_background(stores, read_library()):
            seeder = Seeder(stores)
            admission = Admission(stores, seeder)
            yield State(stores=stores, seeder=seeder, admission=admission)

    token = Middleware(ServiceAuth, token=settings.service_token)
    return Starlette(
        routes=[Mount("/internal/v1", routes=INTERNAL, middleware=[token]), *HEALTH],
        exception_handlers={
            Problem: answer_problem,
            HTTPException: answer_http_error,
            **dict.fromkeys(STORE_ERRORS, answer_outage),
            Exception: answer_defect,
        },
        lifespan=lifespan,
    )


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncGenerator[Stores]:
    """Opened lazily: neither store need be there yet."""
    pool = await open_pool(
        settings.database_url, size_max=POOL_SIZE_MAX, statement_timeout_s=STATEMENT_TIMEOUT_S
    )
    redis = open_redis(settings.meter_url, timeout_s=REDIS_TIMEOUT_S)
    patient = open_redis(settings.meter_url, timeout_s=PATIENT_TIMEOUT_S)
    try:
        yield Stores(pool, redis, patient)
    finally:
        await patient.aclose()
        await redis.aclose()
        await _close(pool)


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
