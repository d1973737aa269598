"""PDFs under faults: many callers ask at once, one part of the rendering breaks, and each caller must be answered."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil
from bodies import CLIENT, document, line
from proxy import Proxy

from tests.faults.printer import HANGS, KILLS
from tests.faults.processes import Service
from tests.faults.world import Setup, World, until

WAIT_S = 40
# What a caller's answer may take beyond PDF_WAIT_S, on a machine that has much to do.
LATE_S = 10.0
DOCUMENTS = 24
SPREAD_S = 1.5
PAGES = {"RENDERER_PAGES": "1", "RENDERER_EXPORT_PAGES": "0"}
RESTART_S = 0.2


class Row(msgspec.Struct):
    """What came of a fault: PDFs and errors that were answered, and documents that no later call could get either."""

    fault: str
    rounds: int = 0
    asked: int = 0
    printed: int = 0
    refused: int = 0
    lost: int = 0
    recovery_s: float = 0.0
    problems: list[str] = msgspec.field(default_factory=list)


class Shop:
    """One gateway, two renderers with one browser each, a line to Redis for each side, and an account's documents."""

    def __init__(
        self, world: World, http: httpx2.AsyncClient, lines: tuple[Proxy, Proxy], renderers: list[Service]
    ) -> None:
        self.world = world
        self.gateway_line, self.line = lines
        self.renderers = renderers
        self.waiting: set[asyncio.Task[Any]] = set()
        self._http = http
        self._client_id = ""

    @property
    def store(self) -> Path:
        return self.world.folder / "objects" / "pdf"

    async def document(self, title: str = "Work") -> dict[str, Any]:
        """A new one that nobody has printed."""
        if not self._client_id:
            self._client_id = (
                (await self._http.post("/v1/clients", json=CLIENT)).raise_for_status().json()["id"]
            )
        body = document(self._client_id, status="sent", items=[line(title=title)])
        return (await self._http.post("/v1/documents", json=body)).raise_for_status().json()

    async def ask(self, made: dict[str, Any]) -> httpx2.Response:
        return await self._http.get(f"/v1/documents/{made['id']}/pdf")

    async def can_print(self) -> bool:
        with suppress(httpx2.HTTPError):
            return (await self.ask(await self.document())).status_code == 200
        return False

    def pages(self) -> list[psutil.Process]:
        """The process of each page."""
        return [process for process in self._parts() if "--type=renderer" in _command(process)]

    def browsers(self) -> list[psutil.Process]:
        """The processes that all other processes of a browser hang on."""
        parts = self._parts()
        above = {parent.pid: parent for part in parts if (parent := _parent(part)) is not None}
        return [above[process_id] for process_id in set(above) - {part.pid for part in parts}]

    def _parts(self) -> list[psutil.Process]:
        family = [child for renderer in self.renderers for child in _descendants(renderer)]
        return [process for process in family if " --type=" in _command(process)]


def _descendants(service: Service) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return psutil.Process(service.process_id).children(recursive=True) if service.process_id else []
    return []


def _parent(process: psutil.Process) -> psutil.Process | None:
    with suppress(psutil.Error):
        return process.parent()
    return None


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


Fault = Callable[[Shop, random.Random], Awaitable[None]]


class Case(msgspec.Struct, frozen=True):
    """A row of the table; ``short`` of its rounds are played in the short form, and some may end in an error.

    Among a round's documents are ``poisons`` of this title, which must end in an error and in nobody else's.
    """

    name: str
    rounds: int
    fault: Fault
    short: int = 0
    may_refuse: bool = False
    poison: str = ""
    poisons: int = 0


async def kill_browser(shop: Shop, chance: random.Random) -> None:
    chance.choice(shop.browsers()).kill()


async def hang_page(shop: Shop, chance: random.Random) -> None:
    """The process of a page stands still, so that its document is never answered."""
    chance.choice(shop.pages()).suspend()


async def kill_worker(shop: Shop, chance: random.Random) -> None:
    victim = chance.choice(shop.renderers)
    await asyncio.to_thread(victim.kill)
    await asyncio.sleep(chance.uniform(0, 0.5))
    victim.start()


async def harm_nobody(shop: Shop, chance: random.Random) -> None:
    """The fault is in the documents."""


async def kill_workers_again(shop: Shop, _: random.Random) -> None:
    """The fault is in a document; a worker that it has ended is started again until the answer is there."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and shop.waiting:
        for renderer in shop.renderers:
            if _has_ended(renderer):
                await asyncio.to_thread(renderer.kill)
                renderer.start()
        await asyncio.sleep(RESTART_S)


def _has_ended(service: Service) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(service.process_id).status() == psutil.STATUS_ZOMBIE
    return True


async def cut_redis(shop: Shop, chance: random.Random) -> None:
    await _cut(shop.line, chance)


async def cut_gateway(shop: Shop, chance: random.Random) -> None:
    await _cut(shop.gateway_line, chance)


async def _cut(line: Proxy, chance: random.Random) -> None:
    line.cut()
    await asyncio.sleep(chance.uniform(0.5, 3))
    line.mend()


async def lock_store(shop: Shop, chance: random.Random) -> None:
    """Nothing new can be put into the account's folder, and what is there can be read."""
    folders = [folder for folder in shop.store.iterdir() if folder.is_dir()]
    _set_writable(folders, writable=False)
    try:
        await asyncio.sleep(chance.uniform(0.5, 3))
    finally:
        _set_writable(folders, writable=True)


def _set_writable(folders: list[Path], *, writable: bool) -> None:
    """A mode does not stop root; an immutable folder does."""
    for folder in folders:
        if os.geteuid() == 0:
            _run("chattr", "-i" if writable else "+i", str(folder))
        else:
            folder.chmod(0o755 if writable else 0o555)


async def fill_store(shop: Shop, chance: random.Random) -> None:
    """A file system without a free byte lies over the store for a while."""
    _run("mount", "-t", "tmpfs", "-o", "size=64k", "full", str(shop.store))
    try:
        with suppress(OSError):
            (shop.store / "filling").write_bytes(bytes(1024 * 1024))
        await asyncio.sleep(chance.uniform(0.5, 3))
    finally:
        _run("umount", "--lazy", str(shop.store))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def may_mount() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


CASES = (
    Case("browser killed while it prints", 20, kill_browser, short=1),
    Case("page that never answers", 8, hang_page, short=1),
    Case("two pages that hang in every browser", 4, harm_nobody, poison=HANGS, poisons=2),
    Case("worker killed", 8, kill_worker, short=1),
    Case("document that ends every worker", 4, kill_workers_again, poison=KILLS, poisons=1),
    Case("Redis cut off from the workers", 15, cut_redis, short=1),
    Case("Redis cut off from the gateway", 15, cut_gateway, may_refuse=True),
    Case("store read-only", 15, lock_store, short=1, may_refuse=True),
    *((Case("store full", 15, fill_store, short=1, may_refuse=True),) if may_mount() else ()),
)


@asynccontextmanager
async def opened_shop(world: World) -> AsyncGenerator[Shop]:
    lines = Proxy(world.valkey.url), Proxy(world.valkey.url)
    for one in lines:
        await one.start()
    given = (("PDF_WAIT_S", str(WAIT_S)), ("QUEUE_REDIS_URL", lines[0].url))
    await world.arrange(Setup(gateways=1, environment=given))
    environment = {**world.gateways[0].environment, **PAGES, "QUEUE_REDIS_URL": lines[1].url}
    names = ("printer-1", "printer-2")
    renderers = [Service(name, "tests.faults.printer", environment, world.folder) for name in names]
    caller = await world.caller()
    headers = {"authorization": f"Bearer {caller.key}"}
    try:
        for renderer in renderers:
            renderer.start()
        async with httpx2.AsyncClient(
            base_url=world.urls[0], headers=headers, timeout=WAIT_S + LATE_S, trust_env=False, verify=False
        ) as http:
            shop = Shop(world, http, lines, renderers)
            await until(shop.can_print)
            yield shop
    finally:
        await asyncio.gather(*(asyncio.to_thread(renderer.stop) for renderer in renderers))
        await asyncio.gather(*(one.aclose() for one in lines))


async def play(shop: Shop, case: Case, rounds: int, seed: str) -> Row:
    row = Row(case.name)
    for number in range(rounds):
        chance = random.Random(f"{seed}:{case.name}:{number}")
        await until(lambda: _is_whole(shop))
        await _play_round(row, shop, case, chance)
    if row.refused != rounds * case.poisons and not case.may_refuse:
        row.problems.append(f"{row.refused} callers got an error")
    if row.lost:
        row.problems.append(f"{row.lost} documents lost")
    return row


async def _is_whole(shop: Shop) -> bool:
    """Both renderers have their browser again, which comes with the next document."""
    await asyncio.gather(*(shop.can_print() for _ in shop.renderers))
    return len(shop.browsers()) == len(shop.renderers)


async def _play_round(row: Row, shop: Shop, case: Case, chance: random.Random) -> None:
    made = [await shop.document() for _ in range(DOCUMENTS - case.poisons)]
    poisons = [await shop.document(case.poison) for _ in range(case.poisons)]
    asked = [asyncio.create_task(_ask_at(shop, one, chance.uniform(0, SPREAD_S))) for one in made + poisons]
    shop.waiting.update(asked)
    for task in asked:
        task.add_done_callback(shop.waiting.discard)
    await asyncio.sleep(chance.uniform(0.1, SPREAD_S))
    await case.fault(shop, chance)
    over_s = time.monotonic()
    recovery = asyncio.create_task(until(shop.can_print))
    answers = await asyncio.gather(*asked)
    await recovery
    row.recovery_s = max(row.recovery_s, time.monotonic() - over_s)
    row.rounds += 1
    row.asked += len(asked)
    for one, answer in zip(made, answers, strict=False):
        await _count(row, shop, one, answer)
    for answer in answers[len(made) :]:
        _count_poison(row, answer)


def _count_poison(row: Row, answer: httpx2.Response | None) -> None:
    """It must be judged, and not just left waiting."""
    row.refused += 1
    if answer is None or answer.status_code != 500 or not answer.json()["message"]:
        row.problems.append(f"a poison was answered {answer and answer.text[:200]}")


async def _ask_at(shop: Shop, made: dict[str, Any], after_s: float) -> httpx2.Response | None:
    await asyncio.sleep(after_s)
    with suppress(httpx2.HTTPError):
        return await shop.ask(made)
    return None


async def _count(row: Row, shop: Shop, made: dict[str, Any], answer: httpx2.Response | None) -> None:
    if answer is None:
        row.problems.append(f"{made['id']} was not answered")
    elif answer.status_code == 200:
        row.printed += 1
    else:
        row.refused += 1
        if not answer.json()["message"]:
            row.problems.append(f"{made['id']}: {answer.text}")
    later = answer if answer is not None and answer.status_code == 200 else await shop.ask(made)
    if not (later.status_code == 200 and await _is_of(later.content, made)):
        row.lost += 1


async def _is_of(pdf: bytes, made: dict[str, Any]) -> bool:
    """Whether the PDF is this document's own."""
    reader = await asyncio.create_subprocess_exec(
        "pdftotext", "-", "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    text, _ = await reader.communicate(pdf)
    return made["number"].encode() in text
