"""What every test may ask for: a database, a Redis and an object store of its own, all of them real.

TEST_DATABASE_URL (of a user who may create databases) and TEST_REDIS_URL replace the embedded stores.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from product import Product, Urls, running_product
from redis import Redis

from cli.migrate import migrate
from deploy.local.stores import StoreUrls, throwaway_stores

TEMPLATE = "invouno_template"
_names = itertools.count(1)


def pytest_configure() -> None:
    """Let a SIGTERM unwind as Ctrl-C does, so that the stores are ended and their folder is removed."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def stores() -> Iterator[StoreUrls]:
    database, redis = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
    if database and redis:
        yield StoreUrls(database, redis)
        return
    with throwaway_stores() as embedded:
        yield StoreUrls(database or embedded.database, redis or embedded.redis)


@pytest.fixture(scope="session")
async def template_database(stores: StoreUrls) -> AsyncIterator[str]:
    """The name of a migrated database that the tests' own are copied from."""
    await _execute(stores.database, f"drop database if exists {TEMPLATE}")
    await _execute(stores.database, f"create database {TEMPLATE}")
    migrate(database_named(stores.database, TEMPLATE))
    yield TEMPLATE
    await _execute(stores.database, f"drop database {TEMPLATE} with (force)")


@pytest.fixture
async def database_url(stores: StoreUrls, template_database: str) -> AsyncIterator[str]:
    """A migrated, empty database of this test's own."""
    name = f"invouno_test_{os.getpid()}_{next(_names)}"
    await _execute(stores.database, f"create database {name} template {template_database} strategy wal_log")
    yield database_named(stores.database, name)
    await _execute(stores.database, f"drop database {name} with (force)")


@pytest.fixture
def redis_url(stores: StoreUrls) -> Generator[str]:
    """An empty Redis database of this test's own; functions and channels are the server's and so shared."""
    with Redis.from_url(stores.redis) as server:
        configured = cast("dict[str, str]", server.config_get("databases"))
    url = database_named(stores.redis, str(next(_names) % (int(configured["databases"]) - 1) + 1))
    with Redis.from_url(url) as own:
        own.flushdb()
        yield url
        own.flushdb()


@pytest.fixture
def object_url(tmp_path: Path) -> str:
    """A folder of this test's own as an object store."""
    return (tmp_path / "objects").as_uri()


def database_named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def product(
    stores: StoreUrls, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    """All three services as processes, on a database of their own, once for the whole run."""
    name = f"invouno_product_{os.getpid()}"
    asyncio.run(_execute(stores.database, f"create database {name} template {template_database}"))
    folder = tmp_path_factory.mktemp("product")
    urls = Urls(
        database_named(stores.database, name),
        database_named(stores.redis, "0"),
        (folder / "objects").as_uri(),
    )
    with running_product(urls, folder) as running:
        yield running
    asyncio.run(_execute(stores.database, f"drop database {name} with (force)"))
