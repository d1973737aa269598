"""The ways that need no browser: WeasyPrint and Typst, each in two processes that live on, as a service would run them.

Both are installed for the bench only, and WeasyPrint needs Pango; what is not there is left out.
"""

import asyncio
import importlib
import os
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment

from services.renderer.fill import template_environment
from services.renderer.fonts import FOLDER, fontconfig_environment
from services.renderer.page import document_page
from shared.messages import RenderJob
from tests.bench.browsers import html_of
from tests.bench.ways import AT_ONCE, Prepare, Way, Work

SOURCE = Path(__file__).with_name("invoice.typ")
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
ADVICE = {
    "weasyprint": "WeasyPrint is left out: it needs its package and Pango (libpango-1.0-0 and libpangoft2-1.0-0).",
    "typst": "Typst is left out: its package is not installed.",
}

Compose = Callable[[list[str]], list[bytes]]


@asynccontextmanager
async def opened_typesetters() -> AsyncGenerator[dict[str, Way]]:
    """Those that there are."""
    templates = template_environment()
    with ExitStack() as stack:
        processes = [
            stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
            for _ in range(AT_ONCE)
        ]
        yield {
            name: way
            for name, way in {
                "weasyprint": Way(
                    name="WeasyPrint",
                    documents=40,
                    warm_up=4,
                    prepare=_composing(
                        processes, by_weasyprint, lambda job: html_without_faces(job, templates)
                    ),
                ),
                "typst": Way(
                    name="Typst",
                    documents=400,
                    warm_up=20,
                    prepare=_composing(processes, by_typst, words_of),
                ),
            }.items()
            if is_there(name)
        }


def is_there(name: str) -> bool:
    """Whether the package is installed, and the libraries that it loads are."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError):
        return False
    return True


def words_of(job: RenderJob) -> str:
    """What the template's page is filled with, for Typst's own template."""
    return msgspec.json.encode(document_page(job)).decode()


def html_without_faces(job: RenderJob, templates: Environment) -> str:
    """The browsers' HTML, less what tells a browser which font is for which script.

    WeasyPrint would load all these fonts anew for each document; it finds what it needs without.
    """
    return FONT_FACE.sub("", html_of(job, templates))


def by_weasyprint(htmls: list[str]) -> list[bytes]:
    """Tagged, as the browsers' are."""
    os.environ.update(fontconfig_environment())
    weasyprint = importlib.import_module("weasyprint")
    return [weasyprint.HTML(string=html).write_pdf(pdf_tags=True) for html in htmls]


def by_typst(words: list[str]) -> list[bytes]:
    """An equal page in Typst's own language, tagged by default; one compiler keeps its fonts and its caches."""
    compiler = _compiler()
    return [compiler.compile(format="pdf", sys_inputs={"page": page}) for page in words]


@cache
def _compiler() -> Any:
    typst = importlib.import_module("typst")
    return typst.Compiler(input=str(SOURCE), font_paths=[str(FOLDER)], ignore_system_fonts=True)


def _composing(
    processes: Sequence[ProcessPoolExecutor], compose: Compose, source_of: Callable[[RenderJob], str]
) -> Prepare:
    """Each process has its share in one call, so that passing documents to and fro costs next to nothing."""

    async def prepare(jobs: Sequence[RenderJob]) -> Work:
        sources = [source_of(job) for job in jobs]
        shares = [sources[at::AT_ONCE] for at in range(AT_ONCE)]

        async def work() -> list[bytes]:
            loop = asyncio.get_running_loop()
            asked = [
                loop.run_in_executor(process, compose, share)
                for process, share in zip(processes, shares, strict=True)
            ]
            return [pdf for made in await asyncio.gather(*asked) for pdf in made]

        return work

    return prepare
