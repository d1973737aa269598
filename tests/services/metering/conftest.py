"""What the tests of metering share: both stores as the service holds them, and ways to call the admission function."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from redis import Redis

from services.metering.app import create_app, open_stores
from services.metering.counters import Seed, publish_key_generation, seed_counters
from services.metering.invocation import Reply
from services.metering.ledger import Account, Used
from services.metering.library import Library, ensure_library, read_library
from services.metering.limits import period_at
from services.metering.settings import Settings
from services.metering.stores import STORE_ERRORS, Stores, redis_clock, send
from shared.messages import ADMIT_FUNCTION, meter_account, meter_producer, meter_shard, meter_stream

ACCOUNT = "acct_one"
TOKEN = "the-service-token"
LIMITS = f"/internal/v1/accounts/{ACCOUNT}/limits"
SEED = f"/internal/v1/accounts/{ACCOUNT}/seed"
SEEDS = "/internal/v1/seed"
USAGE = f"/internal/v1/usage/{ACCOUNT}"
ADMIT = "/internal/v1/admit"
EVENTS = "/internal/v1/events"
MONTH_S = (1_772_323_200, 1_775_001_600)  # March 2026


Item = tuple[int | str, ...]
OLDER_LIBRARY = Library(Path(__file__).with_name("admission_r2.lua").read_bytes(), 2)


class Producer:
    """One caller of the admission function, as a gateway is."""

    def __init__(self, meter: Stores, name: str = "gateway-1") -> None:
        self.meter = meter
        self.name = name
        self.seq = 0

    async def admit(self, *items: Item, account: str = ACCOUNT, seq: int | None = None) -> list[Reply]:
        """Each item is (generation, n, calls, documents), perhaps with a period and a reservation."""
        return [Reply(*row[:13]) for row in await self.rows(*items, account=account, seq=seq)]

    async def rows(self, *items: Item, account: str = ACCOUNT, seq: int | None = None) -> list[list[int]]:
        """The reply as it comes."""
        self.seq = seq or self.seq + 1
        return await send(self.meter.redis, *_command(ADMIT_FUNCTION, self.name, self.seq, account, items))


class Clocked:
    """The function library on a clock that the test sets, in microseconds, under names of its own."""

    def __init__(self, redis: "Redis") -> None:
        self.redis = redis
        self.seq = 0
        self.now_us = 0
        self.redis.function_load(_clocked_source(), replace=True)
        self.set(MONTH_S[0] * 1_000_000 + 86_400_000_000)

    def set(self, now_us: int) -> None:
        self.now_us = now_us
        self.redis.mset({"clock:s": now_us // 1_000_000, "clock:us": now_us % 1_000_000})

    def advance(self, us: int) -> None:
        self.set(self.now_us + us)

    def seed(self, *, burst: int = 60, calls: int = -1, documents: int = -1, version: int = 0) -> int:
        limits = (version, burst, calls, documents)
        return self.call("clocked_seed_v1", 1, meter_account(ACCOUNT), *limits, *MONTH_S, 0, 0)

    def admit(self, *items: tuple[int, ...]) -> list[Reply]:
        self.seq += 1
        _, *rest = _command("clocked_admit_v1", "clocked", self.seq, ACCOUNT, items)
        return [Reply(*row) for row in self.call(*rest)]

    def read(self, n: int = 1, calls: int = 1) -> Reply:
        return self.admit((0, n, calls, 0))[0]

    def last_entry(self) -> dict[bytes, bytes]:
        newest: Any = self.redis.xrevrange(meter_stream(meter_shard(ACCOUNT)), count=1)
        return newest[0][1]

    def call(self, *parts: Any) -> Any:
        return self.redis.execute_command("FCALL", *parts)


def _command(function: str, producer: str, seq: int, account: str, items: tuple[Item, ...]) -> list[Any]:
    shard = meter_shard(account)
    keys = [meter_stream(shard), meter_producer(shard, producer), *[meter_account(account)] * len(items)]
    numbers = [number for item in items for number in item]
    return ["FCALL", function, len(keys), *keys, producer, seq, *numbers]


def _clocked_source() -> str:
    source = read_library().source.decode()
    for old, new in (
        ("redis.call('TIME')", "redis.call('MGET', 'clock:s', 'clock:us')"),
        ("#!lua name=invouno_", "#!lua name=clocked_"),
        ("register_function('invouno_", "register_function('clocked_"),
    ):
        assert old in source
        source = source.replace(old, new)
    return source


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, service_token=TOKEN)


@pytest.fixture
async def meter(settings: Settings) -> AsyncGenerator[Stores]:
    """Leaves the library loaded: all tests of a run share one server's functions."""
    async with open_stores(settings) as stores:
        await ensure_library(stores.redis, read_library())
        yield stores
        await ensure_library(stores.redis, read_library())


async def seed_afresh(meter: Stores, account_id: str = ACCOUNT) -> None:
    """Live counters of an account that has used nothing, without asking the ledger."""
    period = period_at(await redis_clock(meter.redis))
    await publish_key_generation(meter.redis, account_id, 0)
    await seed_counters(meter.redis, [Seed(account_id, Account(), period, Used(0, 0))])


async def eventually(holds: Callable[[], Awaitable[bool]], *, timeout_s: float = 8.0) -> None:
    """Wait until the condition holds; a store that is away does not end the wait."""
    async with asyncio.timeout(timeout_s):
        while True:
            with suppress(*STORE_ERRORS):
                if await holds():
                    return
            await asyncio.sleep(0.02)


@pytest.fixture
def gateway(meter: Stores) -> Producer:
    return Producer(meter)


@pytest.fixture
def clocked(redis_url: str) -> Generator[Clocked]:
    with Redis.from_url(redis_url) as redis:
        yield Clocked(redis)


class WithState:
    """The application with its lifespan's state, as a server gives it."""

    def __init__(self, app: Any, state: Any) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, "state": dict(self.state)}, receive, send)


async def client_of(settings: Settings, token: str = TOKEN) -> AsyncGenerator[httpx2.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        transport = httpx2.ASGITransport(WithState(app, state), raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://metering", headers=headers
        ) as client:
            yield client


@pytest.fixture
async def client(meter: Stores, settings: Settings) -> AsyncGenerator[httpx2.AsyncClient]:
    assert meter
    async for client in client_of(settings):
        yield client


@pytest.fixture
async def storeless(settings: Settings) -> AsyncGenerator[httpx2.AsyncClient]:
    """A service whose stores are away."""
    nowhere = {"database_url": "postgresql://nobody@127.0.0.1:1/x", "redis_url": "redis://127.0.0.1:1"}
    async for client in client_of(msgspec.structs.replace(settings, **nowhere)):
        yield client


def ask(metric: str, cost: int = 1, **more: object) -> dict[str, object]:
    return {"account": ACCOUNT, "metric": metric, "cost": cost, **more}
