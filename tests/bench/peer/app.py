"""The peer as an application: FastAPI, SQLAlchemy on asyncpg, and Redis."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from tests.bench.peer import documents

# As many as the gateway has.
CONNECTIONS = 20


def create_app(database_url: str, redis_url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        engine = create_async_engine(
            database_url.replace("postgresql://", "postgresql+asyncpg://"),
            pool_size=CONNECTIONS,
            max_overflow=0,
        )
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        app.state.redis = Redis.from_url(redis_url)
        yield
        await app.state.redis.aclose()
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(documents.router)
    return app
