"""Warm headless browsers that turn HTML into PDF bytes: no network, no scripts, a deadline for each step.

Each slot is a browser of its own with one page, so that a hung or crashed document never harms its neighbour.
Every print replaces the whole document, so that nothing of one customer's is there for the next.
"""

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from playwright.async_api import Browser, CDPSession, Error, Playwright, async_playwright

from services.renderer.fonts import fontconfig_environment

LAUNCH_TIMEOUT_S = 6.0
LOAD_TIMEOUT_S = 4.0
# Two and a half times what 5,000 lines take on two cores, and some more for machines that are busy.
PRINT_TIMEOUT_S = 14.0
CLOSE_TIMEOUT_S = 3.0
ATTEMPTS_MAX = 2

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

T = TypeVar("T")

log = structlog.get_logger()


class PrintError(Exception):
    """The browser broke or hung on this document, also a fresh one."""


@dataclass(slots=True)
class Page:
    """A browser process with its only page; ``prints`` counts towards its replacement."""

    browser: Browser
    session: CDPSession
    frame_id: str
    process_id: int
    prints: int = 0

    async def print(self, html: str) -> bytes:
        self.prints += 1
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            await self.session.send("Page.setDocumentContent", {"frameId": self.frame_id, "html": html})
        async with asyncio.timeout(PRINT_TIMEOUT_S):
            printed = await self.session.send("Page.printToPDF", PRINT_OPTIONS)
        return base64.b64decode(printed["data"])

    async def close(self) -> None:
        """Close it, and end it by force when it does not."""
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.browser.close()
                return
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
    driver: Playwright | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def launch(self) -> Page:
        """Raises PrintError."""
        async with self.lock:
            for attempt in range(1, ATTEMPTS_MAX + 1):
                try:
                    async with asyncio.timeout(LAUNCH_TIMEOUT_S):
                        return await self._launch()
                except (Error, OSError, TimeoutError) as error:
                    log.warning("browser does not start", attempt=attempt, cause=_first_line(error))
                    await self.close()
        raise PrintError("The browser does not start")

    async def _launch(self) -> Page:
        if self.driver is None:
            self.driver = await _start_driver()
        browser = await self.driver.chromium.launch(
            executable_path=self.path or None,
            chromium_sandbox=self.sandbox,
            args=list(FLAGS),
            env={**os.environ, **fontconfig_environment()},
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        return await _open_page(browser)

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
    prints_max: int
    slots: asyncio.Queue[Page | None]

    async def print(self, html: str) -> bytes:
        """The document as PDF; raises PrintError."""
        return await self.use(lambda page: page.print(html))

    async def use(self, work: Callable[[Page], Awaitable[T]]) -> T:
        """What ``work`` makes of a page; a browser that breaks or hangs on it is replaced, and it is tried once more.

        Raises PrintError.
        """
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self._use_once(work)
            except (Error, TimeoutError) as error:
                log.warning("browser replaced", attempt=attempt, cause=_first_line(error))
        raise PrintError("The browser could not print this document")

    async def warm(self) -> None:
        """Launch every slot's browser and have it read its fonts."""
        pages = self.slots.qsize()
        await asyncio.gather(*(self.print("<!doctype html><p>warm") for _ in range(pages)))

    async def _use_once(self, work: Callable[[Page], Awaitable[T]]) -> T:
        page = await self.slots.get()
        try:
            page = await self._fresh(page)
            return await work(page)
        except BaseException:
            # Cancelled or failed half-way: what the page holds is unknown, so nobody may print on it again.
            if page is not None:
                page.kill()
            page = None
            raise
        finally:
            self.slots.put_nowait(page)

    async def _fresh(self, page: Page | None) -> Page:
        if page is not None and page.prints < self.prints_max and page.browser.is_connected():
            return page
        if page is not None:
            await page.close()
        return await self.launcher.launch()


@contextlib.asynccontextmanager
async def open_chromium(*, path: str, sandbox: bool, pages: int, prints_max: int) -> AsyncGenerator[Chromium]:
    """Browsers that are launched at need, all of them gone at the end."""
    slots: asyncio.Queue[Page | None] = asyncio.Queue()
    for _ in range(pages):
        slots.put_nowait(None)
    chromium = Chromium(Launcher(path, sandbox), prints_max, slots)
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
    os.environ["NODE_OPTIONS"] = f"{inherited or ''} {DEAF_DRIVER}".strip()
    try:
        return await async_playwright().start()
    finally:
        os.environ.pop("NODE_OPTIONS")
        if inherited is not None:
            os.environ["NODE_OPTIONS"] = inherited


async def _open_page(browser: Browser) -> Page:
    context = await browser.new_context(java_script_enabled=False, offline=True, service_workers="block")
    tab = await context.new_page()
    session = await context.new_cdp_session(tab)
    tree = await session.send("Page.getFrameTree")
    processes = await (await browser.new_browser_cdp_session()).send("SystemInfo.getProcessInfo")
    process_id = next(entry["id"] for entry in processes["processInfo"] if entry["type"] == "browser")
    page = Page(browser, session, tree["frameTree"]["frame"]["id"], process_id)
    # A crashed tab leaves what was asked of it unanswered; without its browser it fails at once.
    tab.on("crash", lambda _: page.kill())
    return page
