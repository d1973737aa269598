"""What the renderer's tests share: one warm browser, jobs to print, and the eyes to read the result."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from jinja2 import Environment
from soundness import sound

from deploy.local.browser import installed
from services.renderer.chromium import Chromium, open_chromium
from services.renderer.fill import template_environment
from services.renderer.press import Press
from shared.messages import RenderJob

EXAMPLES = Path(__file__).parents[2] / "examples"

Printer = Callable[[RenderJob], Awaitable[bytes]]
Reader = Callable[[bytes], str]


@pytest.fixture(scope="session")
def chromium_path() -> str:
    return os.environ.get("CHROMIUM_PATH") or next(iter(installed(os.environ)), "")


@pytest.fixture(scope="session")
async def chromium(chromium_path: str) -> AsyncIterator[Chromium]:
    async with open_chromium(path=chromium_path, sandbox=False, pages=2, prints_max=1000) as browsers:
        await browsers.warm()
        yield browsers


@pytest.fixture(scope="session")
def templates() -> Environment:
    return template_environment()


@pytest.fixture(scope="session")
def example() -> Callable[[str], RenderJob]:
    """A golden document by its name."""
    return lambda name: msgspec.json.decode((EXAMPLES / f"{name}.json").read_bytes(), type=RenderJob)


@pytest.fixture(scope="session")
def press(chromium: Chromium, templates: Environment) -> Press:
    async def no_logo(path: str) -> str:
        raise FileNotFoundError(path)

    return Press(templates, chromium, no_logo)


@pytest.fixture(scope="session")
def pdf_of(press: Press) -> Printer:
    """A document's file, which is sound."""

    async def print_job(job: RenderJob) -> bytes:
        [outcome] = await press.print([job])
        assert isinstance(outcome, bytes), outcome
        return sound(outcome)

    return print_job


@pytest.fixture(scope="session")
def poppler() -> Callable[..., bytes]:
    """A poppler tool's output on a PDF given as bytes."""

    def run(tool: str, *options: str, pdf: bytes) -> bytes:
        after = ("-",) if tool == "pdftotext" else ()
        return subprocess.run(
            [tool, *options, "-", *after], input=pdf, capture_output=True, check=True
        ).stdout

    return run


@pytest.fixture(scope="session")
def text_of(poppler: Callable[..., bytes]) -> Reader:
    """All the words in the order of the page's source, with single spaces between them."""
    return lambda pdf: " ".join(poppler("pdftotext", "-raw", pdf=pdf).decode().split())


@pytest.fixture(scope="session")
def pages_of(poppler: Callable[..., bytes]) -> Callable[[bytes], list[str]]:
    """Each page's words."""

    def split(pdf: bytes) -> list[str]:
        text = poppler("pdftotext", "-raw", pdf=pdf).decode()
        return [" ".join(page.split()) for page in text.removesuffix("\f").split("\f")]

    return split


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what was sent to it."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard
