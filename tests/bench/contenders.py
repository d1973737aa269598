"""Who is compared: our gateway, the floor below it, and a peer that does the same; all on the same two stores."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import msgspec
from load import Caller

from deploy.local.store import free_port
from tests.bench.stock import LIMITS, post_documents, status_of
from tests.faults.processes import Service
from tests.faults.world import Setup, World, opened_world, until

PEER = Path(__file__).with_name("peer")
# By their pools: the driver's as it comes, and the gateway's.
FLOORS = {"floor": "stock", "bare_floor": "kept"}


class Contenders(msgspec.Struct, frozen=True):
    """``urls`` by name: gateway, floor, bare_floor and, where its libraries are, fastapi; with the same documents.

    The two floors differ in their pool of connections alone.
    """

    world: World
    urls: dict[str, str]
    caller: Caller
    documents: Sequence[str]

    @property
    def draft(self) -> str:
        """The id of the draft that the floor makes others like."""
        return draft_among(self.documents)


def draft_among(documents: Sequence[str]) -> str:
    return next(each for number, each in enumerate(documents) if status_of(number) == "draft")


def has_peer() -> bool:
    """Whether the peer's libraries are installed, which only a benchmark needs."""
    return all(find_spec(name) for name in ("fastapi", "pydantic", "sqlalchemy"))


@asynccontextmanager
async def opened_contenders(documents: int) -> AsyncGenerator[Contenders]:
    async with opened_world() as world, AsyncExitStack() as stack:
        await world.arrange(Setup(gateways=1))
        caller = await world.caller(LIMITS)
        posted = await post_documents(world.urls[0], caller, documents)
        told = {"FLOOR_ACCOUNT": caller.account_id, "FLOOR_PATTERN": draft_among(posted)}
        urls = {"gateway": world.urls[0]}
        for name, pool in FLOORS.items():
            floor = running(world, name, "tests.bench.floor", {**told, "FLOOR_POOL": pool})
            urls[name] = await stack.enter_async_context(floor)
        if has_peer():
            await _fill_peer(world)
            urls["fastapi"] = await stack.enter_async_context(running(world, "fastapi", "tests.bench.peer"))
        yield Contenders(world, urls, caller, posted)


@asynccontextmanager
async def running(
    world: World, name: str, module: str, told: dict[str, str] | None = None
) -> AsyncGenerator[str]:
    """A process beside the gateway and with its environment, until it listens and while it is needed; its URL."""
    port = free_port()
    environment = {**world.gateways[0].environment, **(told or {}), "PORT": str(port)}
    service = Service(name, module, environment, world.folder)
    service.start()
    try:
        await listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        service.stop()


async def listening(port: int) -> None:
    """Raises TimeoutError."""

    async def answers() -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    await until(answers)


async def _fill_peer(world: World) -> None:
    connection = await asyncpg.connect(world.postgres.url)
    try:
        for file in ("schema.sql", "copy.sql"):
            await connection.execute((PEER / file).read_text())
    finally:
        await connection.close()
