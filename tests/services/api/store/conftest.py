"""What tests of the store share."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from varied import ACCOUNT, COUNT, FILL

from shared.postgres import Connection


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """A database with the documents of varied.py."""
    opened = await asyncpg.connect(database_url, server_settings={"timezone": "UTC"})
    await opened.execute(FILL, ACCOUNT, COUNT)
    yield opened
    await opened.close()
