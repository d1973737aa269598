"""The ways that print with a browser, from the costliest to the barest; the HTML is there before the clock starts."""

import base64
import os
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from jinja2 import Environment
from playwright.async_api import Browser, CDPSession, Page, Playwright, async_playwright

from deploy.local.browser import installed
from services.renderer.chromium import (
    PRINT_OPTIONS,
    PRINTS_UNTURNED_MAX,
    UNREACHABLE,
    Chromium,
    open_chromium,
)
from services.renderer.fill import fill, template_environment
from services.renderer.fonts import fontconfig_environment
from services.renderer.layout.sheets import one_sheet
from services.renderer.page import document_page
from shared.messages import RenderJob
from tests.bench.ways import AT_ONCE, Prepare, Way, Work, two_at_once

# What the worker asks of the browser too, in Playwright's words.
PDF_OPTIONS: dict[str, Any] = {
    "print_background": True,
    "prefer_css_page_size": True,
    "tagged": True,
    "outline": True,
}
PRINTS_MAX = 1_000
# A lever of ours, which others' pages do not have: without it a page is laid out and drawn for a screen as well.
NO_SCREEN = "@media screen { html { display: none; } }"

Print = Callable[[str], Awaitable[bytes]]
# The connection to it through Playwright, and the id of its frame.
BarePage = tuple[CDPSession, str]


@asynccontextmanager
async def opened_browser_ways() -> AsyncGenerator[dict[str, Way]]:
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        browser = await stack.enter_async_context(await launched(playwright))
        pages = [
            await (await stack.enter_async_context(await launched(playwright))).new_page()
            for _ in range(AT_ONCE)
        ]
        bare = [await stack.enter_async_context(opened_bare_page(playwright)) for _ in range(AT_ONCE)]
        own = await stack.enter_async_context(warm_chromium())
        yield {
            "new_browser": Way(
                name="a new browser for each PDF",
                documents=8,
                warm_up=2,
                prepare=_printing(lambda html: in_new_browser(playwright, html)),
                rounds=2,
            ),
            "new_context": Way(
                name="a new context and page for each PDF",
                documents=24,
                warm_up=4,
                prepare=_printing(lambda html: in_new_context(browser, html)),
            ),
            "warm_playwright": Way(
                name="a warm page with new content",
                documents=100,
                warm_up=10,
                prepare=_printing(on_warm_pages(pages)),
            ),
            "warm_page": Way(
                name="the bare warm page",
                documents=240,
                warm_up=10,
                prepare=_printing(on_bare_pages(bare)),
            ),
            "own_page": Way(
                name="the same without a driver",
                documents=240,
                warm_up=10,
                prepare=_printing(own.print),
            ),
        }


async def launched(playwright: Playwright) -> Browser:
    """With Playwright's own defaults, the fonts being those of the worker."""
    return await playwright.chromium.launch(
        executable_path=browser_path() or None, env={**os.environ, **fontconfig_environment()}
    )


@asynccontextmanager
async def warm_chromium(pages: int = AT_ONCE, flags: tuple[str, ...] = ()) -> AsyncGenerator[Chromium]:
    """The worker's own browsers, and recycled as often as its."""
    async with open_chromium(
        path=browser_path(), sandbox=os.geteuid() != 0, pages=pages, prints_max=PRINTS_MAX, flags=flags
    ) as chromium:
        await chromium.warm()
        yield chromium


def browser_path() -> str:
    return os.environ.get("CHROMIUM_PATH") or next(iter(installed(os.environ)), "")


def html_of(job: RenderJob, templates: Environment) -> str:
    """The page that the worker prints when it prints this document alone."""
    page = document_page(job)
    return fill(templates, job.template, [(page, one_sheet(page))])


async def in_new_browser(playwright: Playwright, html: str) -> bytes:
    async with await launched(playwright) as browser:
        return await in_new_context(browser, html)


async def in_new_context(browser: Browser, html: str) -> bytes:
    """As services for printing do it, so that nothing of one document meets the next."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        return await _printed(page, html)
    finally:
        await context.close()


def on_warm_pages(pages: Sequence[Page]) -> Print:
    free = list(pages)

    async def print_on_one(html: str) -> bytes:
        page = free.pop()
        try:
            return await _printed(page, html)
        finally:
            free.append(page)

    return print_on_one


@asynccontextmanager
async def opened_bare_page(playwright: Playwright) -> AsyncGenerator[BarePage]:
    """In a browser of its own, as well shielded as the worker's."""
    async with await playwright.chromium.launch(
        executable_path=browser_path() or None,
        chromium_sandbox=os.geteuid() != 0,
        args=[*UNREACHABLE, "--font-render-hinting=none"],
        env={**os.environ, **fontconfig_environment()},
    ) as browser:
        context = await browser.new_context(java_script_enabled=False, offline=True, service_workers="block")
        session = await context.new_cdp_session(await context.new_page())
        tree = await session.send("Page.getFrameTree")
        yield session, tree["frameTree"]["frame"]["id"]


def on_bare_pages(pages: Sequence[BarePage]) -> Print:
    """Turned as often as the worker's, or each print would take longer than the last."""
    free, prints = list(pages), Counter[int]()

    async def print_on_one(html: str) -> bytes:
        page = session, frame_id = free.pop()
        try:
            prints[id(session)] += 1
            if prints[id(session)] % PRINTS_UNTURNED_MAX == 0:
                await session.send("Page.navigate", {"url": "about:blank"})
            await session.send("Page.setDocumentContent", {"frameId": frame_id, "html": html})
            return base64.b64decode((await session.send("Page.printToPDF", PRINT_OPTIONS))["data"])
        finally:
            free.append(page)

    return print_on_one


async def _printed(page: Page, html: str) -> bytes:
    await page.set_content(html.replace(NO_SCREEN, ""), wait_until="load")
    return await page.pdf(**PDF_OPTIONS)


def _printing(print_html: Print) -> Prepare:
    templates = template_environment()

    async def prepare(jobs: Sequence[RenderJob]) -> Work:
        htmls = [html_of(job, templates) for job in jobs]
        return lambda: two_at_once(htmls, print_html)

    return prepare
