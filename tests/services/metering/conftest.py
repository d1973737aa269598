"""What the tests of metering share: both stores as the service holds them, and a way to call the admission function."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from services.metering.admission import Reply
from services.metering.app import open_stores
from services.metering.library import ensure_library, read_library
from services.metering.settings import Settings
from services.metering.stores import Stores, send
from shared.messages import ADMIT_FUNCTION, meter_account, meter_producer, meter_shard, meter_stream

ACCOUNT = "acct_one"
Admit = Callable[..., Awaitable[list[Reply]]]


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, service_token="the-token")


@pytest.fixture
async def meter(settings: Settings) -> AsyncGenerator[Stores]:
    async with open_stores(settings) as opened:
        await ensure_library(opened.redis, read_library())
        yield opened


@pytest.fixture
def admit(meter: Stores) -> Admit:
    """Calls the function as one producer: ``admit((generation, n, calls, documents), ..., seq=1)`` for one account."""
    seqs = iter(range(1, 1_000_000))

    async def call(
        *items: tuple[int, ...], account: str = ACCOUNT, seq: int | None = None, producer: str = "p1"
    ) -> list[Reply]:
        shard = meter_shard(account)
        keys = [meter_stream(shard), meter_producer(shard, producer), *[meter_account(account)] * len(items)]
        numbers = [number for item in items for number in item]
        raw = await send(
            meter.redis, "FCALL", ADMIT_FUNCTION, len(keys), *keys, producer, seq or next(seqs), *numbers
        )
        return [Reply(*row) for row in raw]

    return call
