"""The connection to a browser: what goes wrong is an error that says so, and nothing is left of either side."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from services.renderer import devtools
from services.renderer.chromium import FLAGS, NO_SANDBOX
from services.renderer.devtools import FOLDER_PREFIX, Browser, DevToolsError, sweep

ROOT = Path(devtools.__file__).parents[2]
ARGUMENTS = (*FLAGS, *NO_SANDBOX)
# A worker that starts a browser, says its process's id, and waits to be killed.
WORKER = f"""
import asyncio, sys
from services.renderer.devtools import Browser

async def main():
    browser = await Browser.launch(sys.argv[1], {ARGUMENTS!r}, {{}})
    processes = (await browser.ask("SystemInfo.getProcessInfo"))["processInfo"]
    print(*(each["id"] for each in processes), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where browsers have their folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "folders"))
    (tmp_path / "folders").mkdir()
    return tmp_path / "folders"


def left(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def is_gone(process: psutil.Process) -> bool:
    """Its parent may have been killed beside it, so that nobody has waited for it yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def browser_process(browser: Browser) -> psutil.Process:
    told = (await browser.ask("SystemInfo.getProcessInfo"))["processInfo"]
    return psutil.Process(next(each["id"] for each in told if each["type"] == "browser"))


async def launched(path: str) -> Browser:
    return await Browser.launch(path, ARGUMENTS, {})


async def test_what_is_asked_at_the_same_time_is_answered_to_whom_it_is_due(chromium_path: str) -> None:
    browser = await launched(chromium_path)
    asked = [browser.ask("Target.createBrowserContext") for _ in range(20)]
    contexts = [answer["browserContextId"] for answer in await asyncio.gather(*asked)]
    told = (await browser.ask("Target.getBrowserContexts"))["browserContextIds"]
    assert set(told) >= set(contexts)
    assert len(set(contexts)) == 20
    await browser.close()


async def test_a_message_of_many_megabytes_comes_and_goes_whole(chromium_path: str) -> None:
    browser = await launched(chromium_path)
    target = (await browser.ask("Target.createTarget", {"url": "about:blank"}))["targetId"]
    attached = await browser.ask("Target.attachToTarget", {"targetId": target, "flatten": True})
    sent = "ä\0\n" * 2_000_000
    params = {"expression": repr_of(sent), "returnByValue": True}
    told = await browser.ask("Runtime.evaluate", params, session=attached["sessionId"])
    assert told["result"]["value"] == sent
    await browser.close()


def repr_of(text: str) -> str:
    return '"' + text.replace("\0", "\\0").replace("\n", "\\n") + '"'


async def test_what_is_refused_is_an_error_with_its_reason(chromium_path: str) -> None:
    browser = await launched(chromium_path)
    with pytest.raises(DevToolsError, match="wasn't found"):
        await browser.ask("Nothing.ofTheKind")
    await browser.close()


async def test_a_closed_browser_leaves_no_process_and_no_folder(chromium_path: str, folders: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    browser = await launched(chromium_path)
    ours = set(psutil.Process().children(recursive=True)) - before
    assert ours
    assert left(folders)
    await browser.close()
    psutil.wait_procs(ours, timeout=5)
    assert all(map(is_gone, ours))
    assert left(folders) == []
    assert not browser.is_up
    with pytest.raises(DevToolsError, match="has ended"):
        await browser.ask("Browser.getVersion")
    browser.kill()
    await browser.close()


async def test_a_browser_that_does_not_close_is_killed(
    chromium_path: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devtools, "CLOSE_TIMEOUT_S", 0.3)
    browser = await launched(chromium_path)
    process = await browser_process(browser)
    process.suspend()
    await browser.close()
    assert is_gone(process)
    assert left(folders) == []


async def test_what_was_asked_of_a_killed_browser_fails_at_once(chromium_path: str) -> None:
    browser = await launched(chromium_path)
    (await browser_process(browser)).suspend()
    asking = asyncio.create_task(browser.ask("Target.createBrowserContext"))
    await asyncio.sleep(0.05)
    browser.kill()
    with pytest.raises(DevToolsError, match="has ended"):
        await asking
    await browser.close()


@pytest.mark.parametrize("path", ["/nonexistent/browser", "nobody-has-such-a-browser"])
async def test_an_executable_that_is_not_there_is_named(path: str, folders: Path) -> None:
    with pytest.raises(FileNotFoundError, match=path):
        await launched(path)
    assert left(folders) == []


async def test_the_last_words_of_a_browser_that_ends_at_once_are_told(tmp_path: Path) -> None:
    path = tmp_path / "browser"
    path.write_text("#!/bin/sh\necho libnss3.so: cannot open shared object file >&2\nexit 127\n")
    path.chmod(0o755)
    with pytest.raises(DevToolsError, match=r"at once: libnss3\.so: cannot open"):
        await launched(str(path))


async def test_a_browser_ends_with_its_worker_and_the_next_worker_removes_its_folder(
    chromium_path: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devtools, "SWEPT_AFTER_S", -1.0)
    environment = {"TMPDIR": str(folders), "PYTHONPATH": str(ROOT)}
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, chromium_path, stdout=subprocess.PIPE, env=environment
    )
    assert worker.stdout
    processes = [psutil.Process(int(word)) for word in (await worker.stdout.readline()).split()]
    assert processes
    sweep()
    assert len(left(folders)) == 1
    worker.kill()
    await worker.wait()
    await asyncio.to_thread(psutil.wait_procs, processes, timeout=5)
    assert all(map(is_gone, processes))
    sweep()
    assert left(folders) == []


async def test_a_folder_that_is_being_made_is_left_alone(folders: Path) -> None:
    (folders / f"{FOLDER_PREFIX}made-a-moment-ago").mkdir()
    sweep()
    assert len(left(folders)) == 1
