"""Exports in a world of their own, where gateways and renderers are killed, time passes and accounts hurry."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
import pytest
from account import Account, caller, refused
from bodies import line
from export_worker import POISON
from exported import ENDED, asked, downloaded, ended, manifest_of, reached, state_of, unzipped
from product import Product, Urls, free_port, running, wait_until_ready
from redis import Redis

from services.api.exports import CLEANED_AFTER, EXPIRES, FORGOTTEN, LEASE, Exports
from services.api.logos import Logos
from shared.messages import EXPORT_QUEUE
from shared.objects import open_store
from shared.postgres import open_pool
from shared.queue import open_queue

WORKER = Path(__file__).parents[2] / "support" / "export_worker.py"
AT_ONCE = 8
JOINS_THAT_KILL = 5  # more than one job's tries


class World:
    """Services as processes on stores of their own; ``prints`` is what the renderers of exports have printed."""

    def __init__(self, urls: Urls, folder: Path) -> None:
        self.folder = folder
        self.urls = urls
        self._stack = ExitStack()
        metering_port = free_port()
        self.product = Product(urls, "", f"http://127.0.0.1:{metering_port}")
        environment = {**self.product.environment(), "METERING_PORT": str(metering_port)}
        self._stack.enter_context(running("metering", environment, folder))
        wait_until_ready(f"{self.product.metering}/health/ready", folder)

    def close(self) -> None:
        self._stack.close()

    def gateway(self, name: str) -> tuple[Product, "subprocess.Popen[bytes]"]:
        """A further gateway, and the product as it is met there."""
        port = free_port()
        folder = self.folder / name
        folder.mkdir()
        environment = {**self.product.environment(), "PORT": str(port)}
        process = self._stack.enter_context(running("api", environment, folder))
        product = Product(self.urls, f"http://127.0.0.1:{port}", self.product.metering)
        wait_until_ready(f"{product.gateway}/health/ready", folder)
        return product, process

    def account(self, product: Product) -> Account:
        return self._stack.enter_context(Account(product))

    def worker(self, *, joins_that_kill: int = 0) -> "subprocess.Popen[bytes]":
        """A renderer of exports, at the head of a process group of its own."""
        environment = {
            **self.product.environment(),
            "PRINTS": str(self.folder / "prints"),
            "JOINS": str(self.folder / "joins"),
            "JOINS_THAT_KILL": str(joins_that_kill),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, str(WORKER)), env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._stack.callback(kill, process)
        return process

    def renderer(self) -> None:
        """A renderer as it is run, of single documents and of exports."""
        self._stack.enter_context(running("renderer", self.product.environment(), self.folder))

    @property
    def prints(self) -> Counter[str]:
        path = self.folder / "prints"
        return Counter(path.read_text().split() if path.exists() else ())

    def objects(self, export: dict[str, Any]) -> set[str]:
        folder = Path(unquote(urlsplit(self.urls.objects).path), "export")
        return {path.name for path in folder.glob(f"*/{export['id']}/*")}

    def unlock(self) -> None:
        """Let the time pass after which a dead renderer's jobs are taken up."""
        with Redis.from_url(self.urls.redis) as redis:
            for key in redis.scan_iter("arq:in-progress:*"):
                redis.delete(key)

    def queued(self) -> int:
        with Redis.from_url(self.urls.redis) as redis:
            return int(redis.zcard(EXPORT_QUEUE))  # pyright: ignore[reportArgumentType]


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End it and its browsers at once."""
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        psutil.wait_procs(family, timeout=5)


@pytest.fixture
def world(database_url: str, redis_url: str, object_url: str, tmp_path: Path) -> Iterator[World]:
    opened = World(Urls(database_url, redis_url, object_url), tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def documents(account: Account, count: int, **fields: Any) -> list[str]:
    """The ids of as many sent documents, oldest first."""
    assert account.client_id

    def make(number: int) -> str:
        return account.document(status="sent", items=[line(title=f"Thing {number}")], **fields)["id"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sorted(pool.map(make, range(count)))


def begun(export: dict[str, Any]) -> bool:
    return export["done"] >= 100


def finished_ids(account: Account, export: dict[str, Any], ids: list[str]) -> set[str]:
    """The documents of the parts that are done."""
    rows = account.sql(
        "select first, count from api.export_parts where export_id = $1 and state = 'done'", export["id"]
    )
    return {one for first, count in rows for one in ids[first : first + count]}


def complete(account: Account, export: dict[str, Any], ids: list[str]) -> None:
    """The file holds each document once, in order."""
    files = unzipped(downloaded(account, export).content)
    assert [row["document_id"] for row in manifest_of(files)] == ids
    assert len(files) == len(ids) + 1
    assert all(files[row["file"]].startswith(b"%PDF-") for row in manifest_of(files))


def test_what_a_killed_renderer_had_finished_is_not_printed_again(world: World) -> None:
    product, _ = world.gateway("one")
    account = world.account(product)
    ids = documents(account, 500)
    first = world.worker()
    export = asked(account, documents=ids)
    reached(account, export["id"], begun)
    kill(first)
    finished = finished_ids(account, export, ids)
    assert 100 <= len(finished) < 500
    world.unlock()
    world.worker()
    export = ended(account, export["id"])
    assert (export["state"], export["done"], export["failed"]) == ("ready", 500, 0)
    prints = world.prints
    assert {prints[one] for one in finished} == {1}
    assert set(prints) == set(ids)
    complete(account, export, ids)


def test_another_gateway_takes_over_from_one_that_is_killed(world: World) -> None:
    (one, process), (other, _) = world.gateway("one"), world.gateway("other")
    account = world.account(one)
    ids = documents(account, 500)
    world.worker()
    export = asked(account, documents=ids)
    reached(account, export["id"], begun)
    process.kill()
    process.wait()
    account.http.close()
    account.http = caller(other, account.key)
    finished = finished_ids(account, export, ids)
    account.sql("update api.export_parts set leased_until = leased_until - $1::interval", LEASE)
    export = ended(account, export["id"])
    assert (export["state"], export["done"]) == ("ready", 500)
    assert {world.prints[one] for one in finished} == {1}
    complete(account, export, ids)


def test_a_document_that_kills_renderers_is_an_error_of_its_own(world: World) -> None:
    product, _ = world.gateway("one")
    account = world.account(product)
    ids = documents(account, 5)
    poison = account.document(status="sent", items=[line(title=POISON)])["id"]
    ids.insert(2, poison)
    export = survived(world, account, asked(account, documents=ids))
    assert (export["state"], export["done"], export["failed"]) == ("ready", 5, 1)
    (error,) = export["errors"]
    assert (error["document_id"], error["error"]) == (poison, "internal_error")
    files = unzipped(downloaded(account, export).content)
    assert [row["document_id"] for row in manifest_of(files)] == ids
    assert [row["document_id"] for row in manifest_of(files) if not row["file"]] == [poison]


def survived(
    world: World, account: Account, export: dict[str, Any], *, joins_that_kill: int = 0
) -> dict[str, Any]:
    """The export once it has ended, with a new renderer for each that died."""
    worker = world.worker(joins_that_kill=joins_that_kill)

    def has_ended(export: dict[str, Any]) -> bool:
        nonlocal worker
        if worker.poll() is not None:
            world.unlock()
            worker = world.worker(joins_that_kill=joins_that_kill)
        return export["state"] in ENDED

    return reached(account, export["id"], has_ended)


def test_renderers_that_are_killed_while_they_join_cost_no_export(world: World) -> None:
    product, _ = world.gateway("one")
    account = world.account(product)
    ids = documents(account, 3)
    export = survived(world, account, asked(account, documents=ids), joins_that_kill=JOINS_THAT_KILL)
    assert (export["state"], export["done"], export["failed"]) == ("ready", 3, 0)
    assert len((world.folder / "joins").read_text().split()) == JOINS_THAT_KILL
    assert set(world.prints.values()) == {1}
    complete(account, export, ids)


def test_a_document_that_cannot_be_printed_is_an_error_of_its_own(world: World) -> None:
    product, _ = world.gateway("one")
    account = world.account(product)
    world.worker()
    ids = documents(account, 30)
    account.sql("update api.documents set template = 'gothic' where id = $1", ids[7])
    export = ended(account, asked(account, documents=ids)["id"])
    assert (export["state"], export["done"], export["failed"]) == ("ready", 29, 1)
    (error,) = export["errors"]
    assert (error["document_id"], error["error"]) == (ids[7], "internal_error")
    assert set(world.prints.values()) == {1}


def test_cancelling_ends_the_work_and_deletes_what_there_is(world: World) -> None:
    product, _ = world.gateway("one")
    account = world.account(product)
    ids = documents(account, 500)
    worker = world.worker()
    export = asked(account, documents=ids)
    reached(account, export["id"], begun)
    cancelled = account.http.post(f"/v1/exports/{export['id']}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert world.queued() <= 2
    following = ended(account, asked(account, documents=ids[:1])["id"])
    assert following["state"] == "ready"
    worker.terminate()
    worker.wait()
    assert len(world.prints) < 500
    assert "archive" not in world.objects(export)
    swept(world, datetime.now(UTC) + CLEANED_AFTER + timedelta(minutes=1))
    assert world.objects(export) == set()
    assert world.objects(following) == {"archive"}
    assert state_of(account, export["id"])["done"] == cancelled["done"]


def test_a_file_expires_and_at_last_the_export_is_forgotten(world: World) -> None:
    product, _ = world.gateway("one")
    account = world.account(product)
    world.worker()
    ids = documents(account, 2)
    export = ended(account, asked(account, documents=ids)["id"])
    account.http.delete(f"/v1/documents/{ids[0]}")
    complete(account, export, ids)
    now = datetime.now(UTC)
    swept(world, now + EXPIRES - timedelta(hours=1))
    assert state_of(account, export["id"])["state"] == "ready"
    swept(world, now + EXPIRES + timedelta(minutes=1))
    export = state_of(account, export["id"])
    assert (export["state"], export["download_url"], export["progress"]) == ("expired", None, 1)
    refused(account.http.get(f"/v1/exports/{export['id']}/download"), 404, "not_found")
    later = now + EXPIRES + CLEANED_AFTER + timedelta(minutes=2)
    swept(world, later)
    assert world.objects(export) == set()
    swept(world, later + FORGOTTEN)
    refused(account.http.get(f"/v1/exports/{export['id']}"), 404, "not_found")
    assert account.sql("select from api.export_parts") == []


def swept(world: World, now: datetime) -> None:
    asyncio.run(_sweep(world, now))


async def _sweep(world: World, now: datetime) -> None:
    pool = await open_pool(world.urls.database, size_max=1, statement_timeout_s=5)
    store, queue = open_store(world.urls.objects), open_queue(world.urls.redis)
    try:
        await Exports(pool, queue, store, Logos(pool, store)).sweep(now)
    finally:
        await queue.aclose()
        await pool.close()


def test_accounts_take_turns_however_much_one_asks_for(world: World) -> None:
    product, _ = world.gateway("one")
    hog, other = world.account(product), world.account(product)
    many, few = documents(hog, 1_000), documents(other, 200)
    world.worker()
    large = asked(hog, documents=many)
    reached(hog, large["id"], begun)
    small = ended(other, asked(other, documents=few)["id"])
    assert small["state"] == "ready"
    assert state_of(hog, large["id"])["state"] == "running"
    assert ended(hog, large["id"])["state"] == "ready"


def test_single_documents_do_not_wait_for_an_export(world: World) -> None:
    product, _ = world.gateway("one")
    hog, other = world.account(product), world.account(product)
    many, few = documents(hog, 500), documents(other, 20)
    world.renderer()
    large = asked(hog, documents=many)
    reached(hog, large["id"], lambda export: export["state"] == "running")
    for one in few:
        assert other.http.get(f"/v1/documents/{one}/pdf").status_code == 200
    assert state_of(hog, large["id"])["state"] == "running"
    assert ended(hog, large["id"])["state"] == "ready"
