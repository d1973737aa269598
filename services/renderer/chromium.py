"""Warm headless browsers that turn HTML into PDF bytes: no network, no scripts, a deadline for each step.

Each slot is a browser of its own with one page, so that a hung or crashed document never harms its neighbour.
Every print replaces the whole document, so that nothing of one customer's is there for the next.
"""

import asyncio
import base64
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from playwright.async_api import Browser, CDPSession, Error, Playwright, async_playwright

from services.renderer.deadline import standing_still
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
CLOSE_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 2.0
ATTEMPTS_MAX = 2
# A page that only ever gets new documents takes a thousandth longer with each; a navigation makes it as new.
PRINTS_UNTURNED_MAX = 50
# Between two looks at a browser's memory; a look takes two milliseconds.
PRINTS_UNWEIGHED_MAX = 20
# What takes so long may hold as much in one go.
HELD_UNWEIGHED_S_MAX = 1.0

# What is not already switched off by Playwright. No name resolves, and all traffic, also to this machine itself,
# goes to a proxy that is not there.
FLAGS = (
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-pings",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
)
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
# The driver ignores a signal that was meant for the whole process group, so that prints under way are finished.
DEAF_DRIVER = "--import=data:text/javascript,process.on('SIGTERM',()=>{})"
# Busy, it would let garbage grow by 60 MB before it looks; so it looks earlier, for 0.2 ms of its time a document. The
# bound on old space is several times what 5,000 lines take: the nearer it is, the less V8 lets its heap grow.
LEAN_DRIVER = "--max-semi-space-size=4 --max-old-space-size=1024"

T = TypeVar("T")

log = structlog.get_logger()


class PrintError(Exception):
    """The browser broke or hung on this document, also a fresh one."""


class NoBrowserError(Exception):
    """No browser starts, whatever the document."""


@dataclass(slots=True, eq=False)
class Page:
    """A browser process with its only page; ``prints`` and ``memory_bytes`` count towards its replacement."""

    browser: Browser
    session: CDPSession
    frame_id: str
    control: CDPSession
    process_id: int
    prints: int = 0
    turned_at: int = 0
    weighed_at: int = 0
    memory_bytes: int = 0

    async def print(self, html: str) -> bytes:
        self.prints += 1
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            await self.session.send("Page.setDocumentContent", {"frameId": self.frame_id, "html": html})
        async with asyncio.timeout(PRINT_TIMEOUT_S + PRINT_TIMEOUT_S_A_MILLION * len(html) / 1_000_000):
            printed = await self.session.send("Page.printToPDF", PRINT_OPTIONS)
        return base64.b64decode(printed["data"])

    async def processes(self) -> list[int]:
        """The ids of the browser's processes; raises Error or TimeoutError when it does not answer."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            told = await self.control.send("SystemInfo.getProcessInfo")
        return [entry["id"] for entry in told["processInfo"]]

    async def turn(self) -> None:
        """Leave behind all documents so far; raises Error or TimeoutError when the page does not."""
        self.turned_at = self.prints
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            await self.session.send("Page.navigate", {"url": "about:blank"})

    async def weigh(self) -> None:
        """Look how much memory the browser holds; raises Error or TimeoutError when it does not answer."""
        self.weighed_at = self.prints
        self.memory_bytes = memory_bytes(await self.processes())

    async def answers(self) -> bool:
        """Whether the browser is alive enough to tell its version."""
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self.control.send("Browser.getVersion")
                return True
        return False

    async def close(self) -> None:
        """Close it, and end it by force when it does not."""
        if not await _close(self.browser):
            self.kill()

    def kill(self) -> None:
        if self.browser.is_connected():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process_id, signal.SIGKILL)


@dataclass(slots=True)
class Launcher:
    """Starts browsers, one at a time, and the driver that they hang on, again when it has died."""

    path: str
    sandbox: bool
    flags: tuple[str, ...] = FLAGS
    driver: Playwright | None = None
    failed_at_s: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fails(self) -> bool:
        """Whether the last launch came to nothing."""
        return self.failed_at_s is not None

    async def launch(self, others: Collection[Page]) -> Page:
        """One more beside ``others``; raises NoBrowserError."""
        async with self.lock:
            if self.failed_at_s is None or time.monotonic() - self.failed_at_s > LAUNCH_SHARED_S:
                for attempt in range(1, ATTEMPTS_MAX + 1):
                    try:
                        return await self._launch()
                    except (Error, OSError, TimeoutError) as error:
                        log.warning("browser does not start", attempt=attempt, cause=_first_line(error))
                        await self._close_for_none(others)
                self.failed_at_s = time.monotonic()
        raise NoBrowserError("The browser does not start")

    async def _launch(self) -> Page:
        async with asyncio.timeout(LAUNCH_TIMEOUT_S):
            if self.driver is None:
                self.driver = await _start_driver()
            browser = await self.driver.chromium.launch(
                executable_path=self.path or None,
                chromium_sandbox=self.sandbox,
                args=list(self.flags),
                env={**os.environ, **fontconfig_environment()},
                timeout=LAUNCH_TIMEOUT_S * 1000,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
            page = await _only_page(browser)
        self.failed_at_s = None
        return page

    async def _close_for_none(self, others: Collection[Page]) -> None:
        """A driver through which no other browser answers may be at fault itself."""
        if not any(await asyncio.gather(*(page.answers() for page in others))):
            await self.close()

    async def close(self) -> None:
        driver, self.driver = self.driver, None
        if driver is not None:
            # A dead driver fails to stop in many ways, all of them fine.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await driver.stop()


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
            except (Error, TimeoutError) as error:
                log.warning("browser replaced", attempt=attempt, cause=_first_line(error))
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
        up = [page for page in self.pages if page.browser.is_connected()]
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
                page.kill()
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
        """The page or a new one; what broke a browser may have been its driver, which others hang on as well."""
        if page is not None:
            reason = "broken" if doubted and not await page.answers() else await self._worn(page)
            if not reason:
                return page
            self._forget(page, reason)
            await page.close()
        page = await self.launcher.launch(self.pages)
        self.pages.add(page)
        await self._calm(page)
        return page

    async def _calm(self, page: Page) -> None:
        """Again and again: some of its processes come late, and under root a browser raises some by itself."""
        if self.wear.niceness:
            lower_priority(await page.processes(), self.wear.niceness)

    async def _worn(self, page: Page) -> str:
        """Why the page must go, if it must."""
        if not page.browser.is_connected():
            return "broken"
        if page.prints >= self.wear.prints_max:
            return "prints"
        try:
            if page.prints - page.turned_at >= PRINTS_UNTURNED_MAX:
                await page.turn()
            if page.prints - page.weighed_at >= PRINTS_UNWEIGHED_MAX:
                await page.weigh()
                await self._calm(page)
        except (Error, TimeoutError):
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
    chromium = Chromium(Launcher(path, sandbox, FLAGS + flags), wear, slots)
    try:
        yield chromium
    finally:
        while not slots.empty():
            page = slots.get_nowait()
            if page is not None:
                await page.close()
        await chromium.launcher.close()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


async def _start_driver() -> Playwright:
    inherited = os.environ.get("NODE_OPTIONS")
    os.environ["NODE_OPTIONS"] = f"{inherited or ''} {DEAF_DRIVER} {LEAN_DRIVER}".strip()
    try:
        return await async_playwright().start()
    finally:
        os.environ.pop("NODE_OPTIONS")
        if inherited is not None:
            os.environ["NODE_OPTIONS"] = inherited


async def _only_page(browser: Browser) -> Page:
    """A browser without a page would be of no use, and nobody's to close."""
    try:
        return await _open_page(browser)
    except BaseException:
        await _close(browser)
        raise


async def _close(browser: Browser) -> bool:
    with contextlib.suppress(Error, TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await browser.close()
            return True
    return False


async def _open_page(browser: Browser) -> Page:
    context = await browser.new_context(java_script_enabled=False, offline=True, service_workers="block")
    tab = await context.new_page()
    session = await context.new_cdp_session(tab)
    tree = await session.send("Page.getFrameTree")
    control = await browser.new_browser_cdp_session()
    processes = await control.send("SystemInfo.getProcessInfo")
    process_id = next(entry["id"] for entry in processes["processInfo"] if entry["type"] == "browser")
    page = Page(browser, session, tree["frameTree"]["frame"]["id"], control, process_id)
    # A crashed tab leaves what was asked of it unanswered; without its browser it fails at once.
    tab.on("crash", lambda _: page.kill())
    return page
