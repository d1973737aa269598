"""A browser's memory is looked at and bounded, and an export's browser lets others go first."""

import os
from collections.abc import Callable

import pytest

from services.renderer import chromium as module
from services.renderer.chromium import Chromium, open_chromium
from services.renderer.processes import memory_bytes

MB = 1024 * 1024


async def test_a_browser_that_holds_too_much_is_replaced_after_its_print(
    chromium_path: str, monkeypatch: pytest.MonkeyPatch, text_of: Callable[[bytes], str]
) -> None:
    monkeypatch.setattr(module, "PRINTS_UNWEIGHED_MAX", 2)
    async with open_chromium(
        path=chromium_path, sandbox=False, pages=1, prints_max=100, memory_mb_max=1
    ) as browsers:
        for _ in range(4):
            assert text_of(await browsers.print("<p>x")) == "x"
        assert browsers.tally.replaced == {"memory": 1}


async def test_what_a_browser_holds_is_told(chromium: Chromium) -> None:
    page = next(iter(chromium.pages))
    await page.weigh()
    assert 10 * MB < page.memory_bytes < 1000 * MB
    assert chromium.memory_bytes >= page.memory_bytes


def test_a_process_that_has_ended_holds_nothing() -> None:
    assert memory_bytes([2**22 + 1]) == 0


async def test_a_niced_browser_s_processes_are_all_niced_before_long(
    chromium_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRINTS_UNWEIGHED_MAX", 1)
    async with open_chromium(
        path=chromium_path, sandbox=False, pages=1, prints_max=100, niceness=7
    ) as browsers:
        told: set[int] = set()
        for _ in range(20):
            await browsers.print("<p>x")
            (page,) = browsers.pages
            told = {os.getpriority(os.PRIO_PROCESS, process) for process in await page.processes()}
            if told == {7}:
                break
    assert told == {7}
