"""The stores as a command reaches them: opened when first used, closed at its end."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
from redis.asyncio import Redis

from shared.postgres import CONNECT_TIMEOUT_S, Connection
from shared.redis import open_redis
from shared.settings import SettingsError, read_settings

REDIS_TIMEOUT_S = 5.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    database_url: str
    """PostgreSQL, for all commands."""
    redis_url: str = ""
    """The meter's Redis where METER_REDIS_URL is not given."""
    meter_redis_url: str = ""
    """The Redis of admission and counting."""


class Stores:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connection: Connection | None = None
        self._redis: Redis | None = None

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncGenerator["Stores"]:
        """Raises SettingsError."""
        stores = cls(read_settings(Settings, os.environ))
        try:
            yield stores
        finally:
            await stores.aclose()

    async def connection(self) -> Connection:
        if self._connection is None:
            self._connection = await asyncpg.connect(self.settings.database_url, timeout=CONNECT_TIMEOUT_S)
        return self._connection

    def redis(self) -> Redis:
        """Raises SettingsError."""
        if self._redis is None:
            url = self.settings.meter_redis_url or self.settings.redis_url
            if not url:
                raise SettingsError("Set the environment variable REDIS_URL or METER_REDIS_URL")
            self._redis = open_redis(url, timeout_s=REDIS_TIMEOUT_S)
        return self._redis

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._redis is not None:
            await self._redis.aclose()
