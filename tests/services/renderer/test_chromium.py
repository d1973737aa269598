"""Warm browsers keep nothing, reach nothing, and are replaced when they break."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.renderer import chromium as module
from services.renderer.chromium import Chromium, NoBrowserError, Page, PrintError, open_chromium

LARGE = "<!doctype html>" + "<p>line</p>" * 4000


def the_page(browsers: Chromium) -> Page:
    page = browsers.slots.get_nowait()
    browsers.slots.put_nowait(page)
    assert page
    return page


async def test_nothing_of_one_document_is_in_the_next(
    chromium_path: str, text_of: Callable[[bytes], str]
) -> None:
    first = (
        "<!doctype html><html lang=de><title>SECRET</title><style>p::after{content:'SECRET'}</style><p>SECRET"
    )
    second = "<!doctype html><p>mine"
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as browsers:
        fresh = await browsers.print(second)
        assert "SECRET" in text_of(await browsers.print(first))
        after = await browsers.print(second)
    assert text_of(after) == text_of(fresh) == "mine"
    assert b"SECRET" not in after
    assert b"/Lang (de)" not in after


async def test_it_runs_no_script_and_reaches_no_address(
    chromium: Chromium, text_of: Callable[[bytes], str], listener: tuple[int, list[bytes]]
) -> None:
    """Even HTML that was let through whole, without a policy of its own."""
    port, heard = listener
    html = f"""<!doctype html><p id=p>before<script>p.textContent='after'</script>
        <img src=http://127.0.0.1:{port}/1><img src=http://localhost:{port}/2><iframe src=http://[::1]:{port}/3></iframe>
        <link rel=stylesheet href=http://127.0.0.1:{port}/4><object data=http://127.0.0.1:{port}/5></object>
        <style>@import 'http://127.0.0.1:{port}/6'; p{{background:url(http://127.0.0.1:{port}/7)}}</style>
        <iframe src=file:///etc/passwd></iframe><embed src=file:///etc/passwd><video src=http://127.0.0.1:{port}/8>"""
    text = text_of(await chromium.print(html))
    assert "before" in text
    assert "after" not in text
    assert "root:" not in text
    assert heard == []


@pytest.mark.parametrize("blow", ["browser killed", "tab crashed", "browser stopped"])
async def test_a_browser_that_breaks_costs_one_retry(
    blow: str, chromium_path: str, monkeypatch: pytest.MonkeyPatch, text_of: Callable[[bytes], str]
) -> None:
    monkeypatch.setattr(module, "LOAD_TIMEOUT_S", 1.0)
    monkeypatch.setattr(module, "PRINT_TIMEOUT_S", 3.0)
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as browsers:
        await browsers.warm()
        page = the_page(browsers)
        printing = asyncio.create_task(browsers.print(LARGE))
        await asyncio.sleep(0.05)
        crash = asyncio.create_task(strike(page, blow))
        assert text_of(await printing).count("line") == 4000
        assert the_page(browsers).process_id != page.process_id
        await asyncio.gather(crash, return_exceptions=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_browsers_that_break_together_cost_one_retry(
    number: signal.Signals,
    chromium_path: str,
    monkeypatch: pytest.MonkeyPatch,
    text_of: Callable[[bytes], str],
) -> None:
    monkeypatch.setattr(module, "LOAD_TIMEOUT_S", 1.0)
    monkeypatch.setattr(module, "PRINT_TIMEOUT_S", 3.0)
    async with open_chromium(path=chromium_path, sandbox=False, pages=2, prints_max=10) as browsers:
        await browsers.warm()
        printing = asyncio.create_task(browsers.print(LARGE))
        await asyncio.sleep(0.05)
        for page in [*browsers.pages]:
            os.kill(page.process_id, number)
        assert text_of(await printing).count("line") == 4000


async def test_a_browser_that_cannot_be_calmed_is_not_kept(
    chromium_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: Page) -> list[int]:
        raise TimeoutError

    async with open_chromium(
        path=chromium_path, sandbox=False, pages=1, prints_max=10, niceness=5
    ) as browsers:
        with monkeypatch.context() as patch:
            patch.setattr(Page, "processes", silent)
            with pytest.raises(PrintError):
                await browsers.print("<p>x")
        assert browsers.pages == set()
        await browsers.print("<p>x")
        assert len(browsers.pages) == 1
        started = browsers.launcher.started
    assert all(browser.is_gone for browser in started)


async def strike(page: Page, blow: str) -> None:
    if blow == "tab crashed":
        await page.ask("Page.crash")
    os.kill(page.process_id, signal.SIGSTOP if blow == "browser stopped" else signal.SIGKILL)


async def test_a_document_that_always_hangs_is_given_up_and_the_next_one_prints(
    chromium_path: str, monkeypatch: pytest.MonkeyPatch, text_of: Callable[[bytes], str]
) -> None:
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as browsers:
        await browsers.warm()
        with monkeypatch.context() as patch:
            patch.setattr(module, "PRINT_TIMEOUT_S", 0)
            patch.setattr(module, "PRINT_TIMEOUT_S_A_MILLION", 0)
            with pytest.raises(PrintError):
                await browsers.print(LARGE)
        assert text_of(await browsers.print("<p>next")) == "next"


async def test_a_cancelled_print_leaves_its_slot_usable(
    chromium_path: str, text_of: Callable[[bytes], str]
) -> None:
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=10) as browsers:
        await browsers.warm()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await browsers.print(LARGE)
        assert text_of(await browsers.print("<p>next")) == "next"


async def test_a_browser_is_replaced_after_so_many_prints(chromium_path: str) -> None:
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=3) as browsers:
        used: list[int] = []
        for _ in range(7):
            await browsers.print("<p>x")
            used.append(the_page(browsers).process_id)
    assert len(set(used)) == 3
    assert used[:3] == [used[0]] * 3


async def test_a_page_that_was_turned_prints_the_same_on_the_same_browser(
    chromium_path: str, monkeypatch: pytest.MonkeyPatch, text_of: Callable[[bytes], str]
) -> None:
    """A page that is never turned prints slower and slower."""
    monkeypatch.setattr(module, "PRINTS_UNTURNED_MAX", 2)
    async with open_chromium(path=chromium_path, sandbox=False, pages=1, prints_max=100) as browsers:
        assert [text_of(await browsers.print(f"<p>{n}")) for n in range(7)] == list("0123456")
        assert the_page(browsers).turned_at == 6
        assert not browsers.tally.replaced


async def test_no_process_is_left(chromium_path: str) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    async with open_chromium(path=chromium_path, sandbox=False, pages=2, prints_max=10) as browsers:
        await browsers.warm()
        ours = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        assert len(ours) > 3
    _, alive = psutil.wait_procs(ours, timeout=5)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_browser_that_is_not_there_is_an_error_that_says_so() -> None:
    async with open_chromium(path="/nonexistent", sandbox=False, pages=1, prints_max=1) as browsers:
        with pytest.raises(NoBrowserError, match="does not start"):
            await browsers.print("<p>x")
        assert browsers.launcher.fails
        assert not await browsers.can_start()


@pytest.fixture
def wayward(chromium_path: str, tmp_path: Path) -> Path:
    """A browser that does not start while there is a file `sick` beside it, and notes when two start at once."""
    path = tmp_path / "browser"
    path.write_text(
        f"""#!/bin/sh
cd {tmp_path}
if [ -e sick-once ]; then rm sick-once; exit 1; fi
if [ -e sick ]; then exit 1; fi
mkdir starting || touch at-once
sleep 0.3
rmdir starting
exec {chromium_path} "$@"
"""
    )
    path.chmod(0o755)
    return path


async def test_a_launch_that_fails_once_is_tried_again(
    wayward: Path, text_of: Callable[[bytes], str]
) -> None:
    wayward.with_name("sick-once").touch()
    async with open_chromium(path=str(wayward), sandbox=False, pages=1, prints_max=10) as browsers:
        assert text_of(await browsers.print("<p>x")) == "x"
        assert not browsers.launcher.fails


async def test_a_launch_that_fails_leaves_the_neighbours_alone(wayward: Path) -> None:
    async with open_chromium(path=str(wayward), sandbox=False, pages=2, prints_max=10) as browsers:
        await browsers.print("<p>first")
        (first,) = browsers.pages
        wayward.with_name("sick").touch()
        prints = [browsers.print(f"<p>{number}") for number in range(2)]
        outcomes = await asyncio.gather(*prints, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(NoBrowserError) == 1
        assert browsers.pages == {first}
        assert await first.answers()
        wayward.with_name("sick").unlink()
        await asyncio.sleep(module.LAUNCH_SHARED_S)
        assert await browsers.can_start()
        assert first in browsers.pages
        assert len(browsers.pages) == 2


async def test_two_launches_at_once_are_made_one_after_the_other(wayward: Path) -> None:
    async with open_chromium(path=str(wayward), sandbox=False, pages=2, prints_max=10) as browsers:
        await asyncio.gather(*(browsers.print("<p>x") for _ in range(2)))
        assert len(browsers.pages) == 2
    assert not wayward.with_name("at-once").exists()
