"""Warm headless browsers that turn HTML into PDF bytes: no network, no scripts, a deadline for each step.

Each slot is a browser of its own with one page, so that a hung or crashed document never harms its neighbour.
Every print replaces the whole document, so that nothing of one customer's is there for the next.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import structlog

from services.renderer.deadline import standing_still
from services.renderer.devtools import Browser, DevToolsError, sweep
from services.renderer.fonts import fontconfig_environment
from services.renderer.processes import lower_priority, memory_bytes
from services.renderer.wear import Tally, Wear

LAUNCH_TIMEOUT_S = 6.0
# Who waited while a browser did not start need not find it out again.
LAUNCH_SHARED_S = 0.5
LOAD_TIMEOUT_S = 4.0
# What a document takes on a machine that has very much to do, and on top of that, for each million characters, three
# times what they take on a quiet one: 16 s for 5,000 lines.
PRINT_TIMEOUT_S = 7.0
PRINT_TIMEOUT_S_A_MILLION = 10.0
ANSWER_TIMEOUT_S = 2.0
ATTEMPTS_MAX = 2
# A page that only ever gets new documents takes a thousandth longer with each; a navigation makes it as new.
PRINTS_UNTURNED_MAX = 50
# Between two looks at a browser's memory; a look takes two milliseconds.
PRINTS_UNWEIGHED_MAX = 20
# What takes so long may hold as much in one go.
HELD_UNWEIGHED_S_MAX = 1.0

# No name resolves, and all traffic, also to this machine itself, goes to a proxy that is not there.
UNREACHABLE = (
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-field-trial-config",
    "--disable-sync",
    "--no-pings",
)
# What a page looks like must not depend on the machine, and nothing of a browser for people is of any use.
PLAIN = (
    "--headless",
    "--no-startup-window",
    "--no-first-run",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-hang-monitor",
    "--disable-back-forward-cache",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-ipc-flooding-protection",
    "--disable-renderer-backgrounding",
    "--disable-features=MediaRouter,OptimizationHints,PaintHolding",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
)
FLAGS = PLAIN + UNREACHABLE
NO_SANDBOX = ("--no-sandbox",)
# For browsers that print many documents at a time: what is thrown away is collected later, which costs a tenth less
# and some 200 MB more.
FLAGS_FOR_MANY = ("--js-flags=--initial-old-space-size=128",)
PRINT_OPTIONS: dict[str, Any] = {
    "printBackground": True,
    "preferCSSPageSize": True,
    "displayHeaderFooter": False,
    "generateTaggedPDF": True,
    "generateDocumentOutline": True,
    "transferMode": "ReturnAsBase64",
}
INHERITED = ("HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}

T = TypeVar("T")

log = structlog.get_logger()


class Printed(msgspec.Struct):
    """What `Page.printToPDF` answers."""

    data: bytes


_decode = msgspec.json.Decoder(Printed).decode


class PrintError(Exception):
    """The browser broke or hung on this document, also a fresh one."""


class NoBrowserError(Exception):
    """No browser starts, whatever the document."""


@dataclass(slots=True, eq=False)
class Page:
    """A browser process with its only page; ``prints`` and ``memory_bytes`` count towards its replacement."""

    browser: Browser
    session: str
    frame_id: str
    process_id: int
    prints: int = 0
    turned_at: int = 0
    weighed_at: int = 0
    memory_bytes: int = 0

    async def ask(self, method: str, params: Mapping[str, object] | None = None) -> Any:
        """The page's answer; raises DevToolsError."""
        return await self.browser.ask(method, params, session=self.session)

    async def print(self, html: str) -> bytes:
        self.prints += 1
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            await self.ask("Page.setDocumentContent", {"frameId": self.frame_id, "html": html})
        async with asyncio.timeout(PRINT_TIMEOUT_S + PRINT_TIMEOUT_S_A_MILLION * len(html) / 1_000_000):
            answer = await self.browser.ask_raw("Page.printToPDF", PRINT_OPTIONS, session=self.session)
        return _decode(answer).data

    async def processes(self) -> list[int]:
        """The ids of the browser's processes; raises DevToolsError or TimeoutError when it does not answer."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            told = await self.browser.ask("SystemInfo.getProcessInfo")
        return [entry["id"] for entry in told["processInfo"]]

    async def turn(self) -> None:
        """Leave behind all documents so far; raises DevToolsError or TimeoutError when the page does not."""
        self.turned_at = self.prints
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            await self.ask("Page.navigate", {"url": "about:blank"})

    async def weigh(self) -> None:
        """Look how much memory the browser holds; raises DevToolsError or TimeoutError when it does not answer."""
        self.weighed_at = self.prints
        self.memory_bytes = memory_bytes(await self.processes())

    async def answers(self) -> bool:
        """Whether the browser is alive enough to tell its version."""
        with contextlib.suppress(DevToolsError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self.browser.ask("Browser.getVersion")
                return True
        return False


@dataclass(slots=True)
class Launcher:
    """Starts browsers, one at a time."""

    path: str
    flags: tuple[str, ...] = FLAGS
    failed_at_s: float | None = None
    started: set[Browser] = field(default_factory=set[Browser])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fails(self) -> bool:
        """Whether the last launch came to nothing."""
        return self.failed_at_s is not None

    async def launch(self) -> Page:
        """Raises NoBrowserError."""
        async with self.lock:
            if self.failed_at_s is None or time.monotonic() - self.failed_at_s > LAUNCH_SHARED_S:
                for attempt in range(1, ATTEMPTS_MAX + 1):
                    try:
                        return await self._launch()
                    except (DevToolsError, OSError, TimeoutError) as error:
                        log.warning("browser does not start", attempt=attempt, cause=_cause(error))
                self.failed_at_s = time.monotonic()
        raise NoBrowserError("The browser does not start")

    async def _launch(self) -> Page:
        async with asyncio.timeout(LAUNCH_TIMEOUT_S):
            browser = await Browser.launch(self.path, self.flags, _environment())
            self.started = {browser, *(other for other in self.started if not other.is_gone)}
            try:
                page = await _only_page(browser)
            except BaseException:
                browser.kill()
                raise
        self.failed_at_s = None
        return page


@dataclass(slots=True)
class Chromium:
    """As many slots as PDFs may be printed at the same time; a slot's page is launched when it is needed."""

    launcher: Launcher
    wear: Wear
    slots: asyncio.Queue[Page | None]
    pages: set[Page] = field(default_factory=set[Page])
    tally: Tally = field(default_factory=Tally)

    async def print(self, html: str) -> bytes:
        """The document as PDF; raises PrintError or NoBrowserError."""
        return await self.use(lambda page: page.print(html))

    async def use(self, work: Callable[[Page], Awaitable[T]]) -> T:
        """What ``work`` makes of a page; a browser that breaks or hangs on it is replaced, and it is tried once more.

        Deadlines stand still until there is a page. Raises PrintError or NoBrowserError.
        """
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self._use_once(work, doubted=attempt > 1)
            except (DevToolsError, TimeoutError) as error:
                log.warning("browser replaced", attempt=attempt, cause=_cause(error))
        raise PrintError("The browser could not print this document")

    async def warm(self) -> None:
        """Launch every slot's browser and have it read its fonts."""
        pages = self.slots.qsize()
        await asyncio.gather(*(self.print("<!doctype html><p>warm") for _ in range(pages)))

    async def can_start(self) -> bool:
        """Whether every slot has a browser, which is launched if need be."""
        with contextlib.suppress(NoBrowserError, PrintError):
            await self.warm()
            return True
        return False

    async def answers(self) -> bool:
        """Whether all browsers that are up answer; one that has ended is replaced when it is needed."""
        up = [page for page in self.pages if page.browser.is_up]
        return all(await asyncio.gather(*(page.answers() for page in up)))

    @property
    def memory_bytes(self) -> int:
        """What all browsers held when they were last looked at."""
        return sum(page.memory_bytes for page in self.pages)

    async def _use_once(self, work: Callable[[Page], Awaitable[T]], *, doubted: bool) -> T:
        with standing_still():
            page = await self.slots.get()
        try:
            with standing_still():
                page = await self._fresh(page, doubted=doubted)
            began_s = time.monotonic()
            try:
                return await work(page)
            finally:
                self._count(page, time.monotonic() - began_s)
        except BaseException:
            # Cancelled or failed half-way: what the page holds is unknown, so nobody may print on it again.
            if page is not None:
                page.browser.kill()
                self._forget(page, "broken")
            page = None
            raise
        finally:
            self.slots.put_nowait(page)

    def _count(self, page: Page, held_s: float) -> None:
        self.tally.count(held_s)
        if held_s > HELD_UNWEIGHED_S_MAX:
            page.weighed_at = page.prints - PRINTS_UNWEIGHED_MAX

    async def _fresh(self, page: Page | None, *, doubted: bool) -> Page:
        """The page or a new one; what broke a browser may have broken its neighbours, and not be heard of yet."""
        if page is not None:
            reason = "broken" if doubted and not await page.answers() else await self._worn(page)
            if not reason:
                return page
            self._forget(page, reason)
            await page.browser.close()
        page = await self.launcher.launch()
        self.pages.add(page)
        try:
            await self._calm(page)
        except BaseException:
            page.browser.kill()
            self._forget(page, "broken")
            raise
        return page

    async def _calm(self, page: Page) -> None:
        """Again and again: some of its processes come late, and under root a browser raises some by itself."""
        if self.wear.niceness:
            lower_priority(await page.processes(), self.wear.niceness)

    async def _worn(self, page: Page) -> str:
        """Why the page must go, if it must."""
        if not page.browser.is_up:
            return "broken"
        if page.prints >= self.wear.prints_max:
            return "prints"
        try:
            if page.prints - page.turned_at >= PRINTS_UNTURNED_MAX:
                await page.turn()
            if page.prints - page.weighed_at >= PRINTS_UNWEIGHED_MAX:
                await page.weigh()
                await self._calm(page)
        except (DevToolsError, TimeoutError):
            return "broken"
        return "memory" if page.memory_bytes > self.wear.memory_bytes_max else ""

    def _forget(self, page: Page, reason: str) -> None:
        if page in self.pages:
            self.pages.remove(page)
            self.tally.replaced[reason] += 1


@contextlib.asynccontextmanager
async def open_chromium(
    *,
    path: str,
    sandbox: bool,
    pages: int,
    prints_max: int,
    memory_mb_max: int = 1024,
    niceness: int = 0,
    flags: tuple[str, ...] = (),
) -> AsyncGenerator[Chromium]:
    """Browsers that are launched at need, with ``flags`` beside their usual ones; all of them gone at the end."""
    slots: asyncio.Queue[Page | None] = asyncio.Queue()
    for _ in range(pages):
        slots.put_nowait(None)
    wear = Wear(prints_max, memory_mb_max * 1024 * 1024, niceness)
    launcher = Launcher(path, FLAGS + flags + (() if sandbox else NO_SANDBOX))
    chromium = Chromium(launcher, wear, slots)
    await asyncio.to_thread(sweep)
    try:
        yield chromium
    finally:
        await asyncio.gather(*(browser.close() for browser in launcher.started))


def _environment() -> dict[str, str]:
    """What a browser needs to start, and none of the worker's secrets."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | fontconfig_environment()


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _only_page(browser: Browser) -> Page:
    """Without scripts and without a network, which both are switched off in more than one way."""
    context = (await browser.ask("Target.createBrowserContext"))["browserContextId"]
    blank = {"url": "about:blank", "browserContextId": context}
    target = (await browser.ask("Target.createTarget", blank))["targetId"]
    attached = await browser.ask("Target.attachToTarget", {"targetId": target, "flatten": True})
    processes = (await browser.ask("SystemInfo.getProcessInfo"))["processInfo"]
    process_id = next(entry["id"] for entry in processes if entry["type"] == "browser")
    page = Page(browser, attached["sessionId"], "", process_id)
    await page.ask("Emulation.setScriptExecutionDisabled", {"value": True})
    await page.ask("Network.emulateNetworkConditions", OFFLINE)
    page.frame_id = (await page.ask("Page.getFrameTree"))["frameTree"]["frame"]["id"]
    # A crashed page leaves what was asked of it unanswered; without its browser it fails at once.
    browser.on_crash(page.session, browser.kill)
    return page
