"""A job's outcome is a value: the PDF in the store, or a sentence that says why it never will be."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import obstore
import pytest
from jinja2 import Environment
from obstore.store import ObjectStore

from services.renderer import render as module
from services.renderer.chromium import Chromium, open_chromium
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
    assert await renderer.render(PATH, payload, job_try=1) == ""
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
    assert await renderer.render(PATH, garbage, job_try=1) == MALFORMED


@pytest.mark.parametrize("change", [{"template": "gothic"}, {"template": "../x"}, {"type": "ransom_note"}])
async def test_an_unknown_template_or_type_is_refused(
    renderer: Renderer, change: dict[str, str], example: Callable[[str], RenderJob]
) -> None:
    job = msgspec.structs.replace(example("invoice-clean"), **change)
    assert await renderer.render(PATH, msgspec.msgpack.encode(job), job_try=1) == UNFILLABLE


async def test_no_browser_is_said(templates: Environment, store: ObjectStore, payload: bytes) -> None:
    async with open_chromium(path="/nonexistent", sandbox=False, pages=1, prints_max=1) as none:
        assert await renderer_of(templates, none, store).render(PATH, payload, job_try=1) == UNPRINTABLE


async def test_no_store_is_said(
    templates: Environment, chromium: Chromium, payload: bytes, tmp_path: Path
) -> None:
    store = open_store((tmp_path / "objects").as_uri())
    (tmp_path / "objects" / "pdf").write_text("a file where a folder should be")
    assert await renderer_of(templates, chromium, store).render(PATH, payload, job_try=1) == UNSTORABLE


async def test_too_slow_is_said(renderer: Renderer, payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 0.002)
    assert await renderer.render(PATH, payload, job_try=1) == TOO_SLOW
