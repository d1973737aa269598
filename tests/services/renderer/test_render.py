"""A job's outcome is a value: the PDF in the store, or a sentence that says why it never will be."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import obstore
import pytest
from jinja2 import Environment
from obstore.store import ObjectStore

from services.renderer import chromium as browsers
from services.renderer import render as module
from services.renderer.chromium import Chromium, NoBrowserError, open_chromium
from services.renderer.layout.galley import MEASURE_TIMEOUT_S
from services.renderer.logos import Logos
from services.renderer.press import Press
from services.renderer.render import (
    GIVEN_UP,
    MALFORMED,
    TOO_SLOW,
    UNFILLABLE,
    UNPRINTABLE,
    UNSTORABLE,
    Renderer,
)
from shared.messages import RenderJob
from shared.objects import open_store, put_once
from shared.queue import RENDER_TIMEOUT_S

PATH = "pdf/one.pdf"


@pytest.fixture
def store(object_url: str) -> ObjectStore:
    return open_store(object_url)


def renderer_of(templates: Environment, chromium: Chromium, store: ObjectStore) -> Renderer:
    return Renderer(Press(templates, chromium, Logos(store).read), store)


@pytest.fixture
def renderer(templates: Environment, chromium: Chromium, store: ObjectStore) -> Renderer:
    return renderer_of(templates, chromium, store)


@pytest.fixture
def payload(example: Callable[[str], RenderJob]) -> bytes:
    return msgspec.msgpack.encode(example("invoice-clean"))


async def stored(store: ObjectStore) -> bytes:
    return bytes(await (await obstore.get_async(store, PATH)).bytes_async())


async def test_the_pdf_lies_in_the_store(renderer: Renderer, store: ObjectStore, payload: bytes) -> None:
    assert await renderer.render(PATH, payload, job_try=0) == ""
    assert (await stored(store)).startswith(b"%PDF-")


async def test_what_is_there_is_left_alone(renderer: Renderer, store: ObjectStore, payload: bytes) -> None:
    """Also after too many tries: an earlier one came as far as the store before it died."""
    await put_once(store, PATH, b"first")
    assert await renderer.render(PATH, payload, job_try=3) == ""
    assert await stored(store) == b"first"


async def test_a_job_that_has_ended_two_workers_is_not_tried_again(
    renderer: Renderer, payload: bytes
) -> None:
    assert await renderer.render(PATH, payload, job_try=3) == GIVEN_UP


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\x80", msgspec.msgpack.encode({"version": 1})])
async def test_a_job_that_cannot_be_read_is_refused(renderer: Renderer, garbage: bytes) -> None:
    assert await renderer.render(PATH, garbage, job_try=0) == MALFORMED


@pytest.mark.parametrize("change", [{"template": "gothic"}, {"template": "../x"}, {"type": "ransom_note"}])
async def test_an_unknown_template_or_type_is_refused(
    renderer: Renderer, change: dict[str, str], example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), **change)
    assert await renderer.render(PATH, msgspec.msgpack.encode(job), job_try=0) == UNFILLABLE


async def test_no_browser_is_no_fault_of_the_document(
    templates: Environment, store: ObjectStore, payload: bytes
) -> None:
    async with open_chromium(path="/nonexistent", sandbox=False, pages=1, prints_max=1) as none:
        with pytest.raises(NoBrowserError):
            await renderer_of(templates, none, store).render(PATH, payload, job_try=0)


async def test_a_document_that_breaks_every_browser_is_said(
    templates: Environment,
    chromium_path: str,
    store: ObjectStore,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browsers, "PRINT_TIMEOUT_S", 0)
    monkeypatch.setattr(browsers, "PRINT_TIMEOUT_S_A_MILLION", 0)
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as own:
        assert await renderer_of(templates, own, store).render(PATH, payload, job_try=0) == UNPRINTABLE


async def test_the_wait_for_a_page_is_not_the_document_s(
    renderer: Renderer, chromium: Chromium, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 2)
    pages = [await chromium.slots.get() for _ in range(chromium.slots.qsize())]
    rendering = asyncio.create_task(renderer.render(PATH, payload, job_try=0))
    await asyncio.sleep(2.5)
    for page in pages:
        chromium.slots.put_nowait(page)
    assert await rendering == ""


def test_a_print_that_hangs_once_leaves_time_for_its_retry() -> None:
    """Of the longest document: 5,000 lines are 0.9 million characters."""
    attempt_s = browsers.LOAD_TIMEOUT_S + browsers.PRINT_TIMEOUT_S + 0.9 * browsers.PRINT_TIMEOUT_S_A_MILLION
    assert MEASURE_TIMEOUT_S + 2 * attempt_s < module.DEADLINE_S < RENDER_TIMEOUT_S
    assert attempt_s - browsers.LOAD_TIMEOUT_S >= 15


async def test_no_store_is_said(
    templates: Environment, chromium: Chromium, payload: bytes, tmp_path: Path
) -> None:
    store = open_store((tmp_path / "objects").as_uri())
    (tmp_path / "objects" / "pdf").write_text("a file where a folder should be")
    assert await renderer_of(templates, chromium, store).render(PATH, payload, job_try=0) == UNSTORABLE


async def test_too_slow_is_said(renderer: Renderer, payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 0.002)
    assert await renderer.render(PATH, payload, job_try=0) == TOO_SLOW
