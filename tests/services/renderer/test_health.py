"""A worker tells over HTTP how it is; the alarms and the operations page speak of what it tells."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import yaml
from obstore.store import ObjectStore
from product import free_port

from services.renderer import chromium as browsers
from services.renderer import health
from services.renderer import queue as work
from services.renderer.chromium import Chromium, open_chromium
from services.renderer.health import Wellness, create_app, serving
from services.renderer.metrics import Metrics
from services.renderer.presence import Cost
from services.renderer.worker import Lane, render_lane, serve
from shared.messages import RENDER_FUNCTION, RENDER_QUEUE, RenderJob
from shared.objects import open_store
from shared.queue import PRINT_S_ASSUMED, Queue, open_queue

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "renderer.rules.yml"


@pytest.fixture
def store(object_url: str) -> ObjectStore:
    return open_store(object_url)


@pytest.fixture
async def own(chromium_path: str) -> AsyncIterator[Chromium]:
    """A browser that may be harmed."""
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=1000) as chromium:
        await chromium.warm()
        yield chromium


@pytest.fixture
async def told(
    own: Chromium, store: ObjectStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a worker at its work."""
    monkeypatch.setattr(health, "ASKED_ANEW_S", 0)
    lane, port, stopping = render_lane(own, 1, store, Metrics()), free_port(), asyncio.Event()
    app = create_app({lane.queue: Wellness(own, lane.presence)}, lane.metrics)
    async with serving(app, "127.0.0.1", port):
        task = asyncio.create_task(serve(redis_url, lane, stopping))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            await _heard(lane)
            yield http
        stopping.set()
        await task


async def _heard(lane: Lane) -> None:
    for _ in range(500):
        if lane.presence.is_heard:
            return
        await asyncio.sleep(0.01)
    raise AssertionError


async def test_a_worker_at_work_is_well(told: httpx2.AsyncClient) -> None:
    answer = await told.get("/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "well", "invouno:render": {"browsers": "ok", "queue": "ok"}},
    )


async def test_a_browser_that_is_silent_twice_is_not_well(
    told: httpx2.AsyncClient, own: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsers, "ANSWER_TIMEOUT_S", 0.1)
    (page,) = own.pages
    os.kill(page.process_id, signal.SIGSTOP)
    try:
        assert [(await told.get("/health")).status_code for _ in range(2)] == [200, 503]
    finally:
        os.kill(page.process_id, signal.SIGCONT)
    monkeypatch.setattr(browsers, "ANSWER_TIMEOUT_S", 5)
    assert (await told.get("/health")).status_code == 200


async def test_a_browser_that_does_not_start_is_not_well_and_costs_nobody_a_document(
    told: httpx2.AsyncClient,
    own: Chromium,
    redis_url: str,
    example: Callable[[str], RenderJob],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "PAUSE_S_MIN", 0.05)
    path, own.launcher.path = own.launcher.path, "/nonexistent"
    next(iter(own.pages)).browser.kill()
    redis = open_queue(redis_url)
    arguments = ("pdf/one.pdf", msgspec.msgpack.encode(example("invoice-clean")))
    await Queue(redis).enqueue(RENDER_FUNCTION, arguments, job_id="one", expires_s=60)
    await _until_answer(told, 503)
    assert (await told.get("/health")).json()["invouno:render"]["browsers"] == "do not start"
    assert await redis.zcard(RENDER_QUEUE) == 1
    own.launcher.path = path
    await _until_answer(told, 200)
    for _ in range(500):
        if not await redis.zcard(RENDER_QUEUE):
            break
        await asyncio.sleep(0.01)
    failures = [line for line in (await told.get("/metrics")).text.splitlines() if "failures_total{" in line]
    assert failures == []
    await redis.aclose(close_connection_pool=True)


async def _until_answer(told: httpx2.AsyncClient, status: int) -> None:
    for _ in range(1000):
        if (await told.get("/health")).status_code == status:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(status)


async def test_a_worker_without_its_queue_is_not_well(own: Chromium, store: ObjectStore) -> None:
    lane = render_lane(own, 1, store, Metrics())
    assert (await Wellness(own, lane.presence).parts())["queue"] == "away"


async def test_metrics_are_told_in_prometheus_s_format(told: httpx2.AsyncClient) -> None:
    answer = await told.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'invouno_render_queue_up{queue="invouno:render"} 1.0' in answer.text.splitlines()
    assert 'invouno_renderer_memory_bytes{queue="invouno:render"}' in answer.text


async def test_on_port_zero_nothing_listens() -> None:
    async with serving(create_app({}, Metrics()), "127.0.0.1", 0):
        pass


def metric_names() -> set[str]:
    """As a query names them; what nobody has counted yet has a name all the same."""
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in Metrics().registry.collect()
    }


def test_every_metric_stands_on_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in metric_names() if f"`{name}{{queue" not in page] == []


def test_an_alarm_asks_for_what_is_told() -> None:
    groups: Any = yaml.safe_load(RULES.read_text())["groups"]
    for alarm in groups[0]["rules"]:
        for name in re.findall(r"invouno_\w+", re.sub(r'"[^"]*"', "", alarm["expr"])):
            assert name.removesuffix("_bucket") in metric_names(), alarm["alert"]
        assert alarm["annotations"]["summary"]
        assert alarm["labels"]["severity"] in {"warning", "critical"}


def test_what_a_document_costs_follows_what_was_printed_of_late() -> None:
    cost = Cost()
    assert cost.mean_s == pytest.approx(PRINT_S_ASSUMED)
    for _ in range(30):
        cost.add(busy_s=2.0, documents=1)
    assert cost.mean_s == pytest.approx(2, rel=0.05)
    for _ in range(200):
        cost.add(busy_s=0, documents=0)
    assert cost.mean_s == pytest.approx(PRINT_S_ASSUMED, rel=0.5)
