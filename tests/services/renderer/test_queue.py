"""The worker's loop: suspects alone, nothing while it cannot work, and what it holds is its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from arq.worker import Retry, func
from redis.asyncio import Redis

from services.renderer import queue as module
from services.renderer.queue import OUTCOME, QueueWorker
from services.renderer.worker import run_until
from shared.queue import Queue, open_queue

NAME = "invouno:test"
PATIENCE_S = 20


class Shop:
    """Jobs that take a moment, and how many of them were under way beside each."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.beside: dict[str, int] = {}
        self.running: set[str] = set()
        self.cannot: set[str] = set()

    async def work(self, ctx: dict[str, Any], name: str) -> None:
        self.begun.append(name)
        if name in self.cannot:
            raise Retry
        self.running.add(name)
        for one in self.running:
            self.beside[one] = max(self.beside.get(one, 0), len(self.running) - 1)
        await asyncio.sleep(0.02)
        self.running.remove(name)
        self.ended.append(name)
        ctx[OUTCOME] = ("done", name.encode())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - a plain function is asked
            await asyncio.sleep(0.005)


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[Queue]:
    redis = open_queue(redis_url)
    yield Queue(redis, NAME)
    await redis.aclose(close_connection_pool=True)


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@asynccontextmanager
async def working(
    redis_url: str, shop: Shop, *, slots: int = 4, **options: Any
) -> AsyncGenerator[QueueWorker]:
    redis, stopping = open_queue(redis_url), asyncio.Event()
    functions = (func(shop.work, name="work"),)
    worker = QueueWorker(
        redis, Queue(redis, NAME), functions, slots=slots, timeout_s=10, context={}, **options
    )
    task = asyncio.create_task(run_until(worker, stopping))
    try:
        yield worker
    finally:
        stopping.set()
        await task
        await redis.aclose(close_connection_pool=True)


async def ask(queue: Queue, *names: str) -> None:
    for name in names:
        await queue.enqueue("work", (name,), job_id=name, expires_s=60)


async def suspect(server: "Redis", *names: str) -> None:
    """As they are when the worker that had taken them together is gone."""
    for name in names:
        await server.set(f"arq:retry:{name}", 0)


async def test_suspects_are_done_alone_and_all_others_as_ever(
    queue: Queue, server: "Redis", redis_url: str
) -> None:
    names = [f"job-{number:02}" for number in range(40)]
    suspects = {names[0], names[7], names[8], names[30]}
    await suspect(server, *suspects)
    shop = Shop()
    async with working(redis_url, shop):
        await ask(queue, *names)
        await until(lambda: len(shop.ended) == len(names))
    assert sorted(shop.ended) == names
    assert {shop.beside[name] for name in suspects} == {0}
    assert max(shop.beside.values()) == 3
    assert [key async for key in server.scan_iter("arq:*")] == []


async def test_a_suspect_that_comes_while_others_keep_coming_has_its_turn(
    queue: Queue, server: "Redis", redis_url: str
) -> None:
    shop = Shop()
    await suspect(server, "a-suspect")
    async with working(redis_url, shop):
        await ask(queue, *(f"early-{number}" for number in range(6)))
        await until(lambda: bool(shop.running))
        await ask(queue, "a-suspect", *(f"late-{number}" for number in range(60)))
        await until(lambda: "a-suspect" in shop.ended)
    before = shop.begun[: shop.begun.index("a-suspect")]
    assert sum(name.startswith("late") for name in before) < 8
    assert shop.beside["a-suspect"] == 0


async def test_a_worker_that_cannot_work_leaves_its_jobs_to_others(
    queue: Queue, server: "Redis", redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S_MIN", 0.01)
    asked: list[None] = []

    async def never() -> bool:
        asked.append(None)
        return False

    names = [f"job-{number}" for number in range(12)]
    sick, well = Shop(), Shop()
    sick.cannot = set(names)
    async with working(redis_url, sick, is_able=never):
        await ask(queue, *names)
        await until(lambda: len(asked) > 3)
        assert 1 <= len(sick.begun) <= 4
        assert [key async for key in server.scan_iter("arq:retry:*")] == []
        async with working(redis_url, well):
            await until(lambda: len(well.ended) == len(names))


async def test_a_worker_that_can_work_again_takes_up_what_it_put_back(
    queue: Queue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S_MIN", 0.01)
    shop = Shop()
    shop.cannot = {"job"}

    async def mended() -> bool:
        shop.cannot.clear()
        return True

    async with working(redis_url, shop, is_able=mended):
        await ask(queue, "job", "other")
        await until(lambda: set(shop.ended) == {"job", "other"})
