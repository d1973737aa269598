from pathlib import Path

import pytest

from deploy.local import browser
from deploy.local.browser import BrowserError, playwright_folder, provide_browser


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a machine with an empty path, an empty home, and nothing to install from."""
    monkeypatch.setattr(browser, "MAC_APPS", ())
    monkeypatch.setattr(browser, "_download", lambda: False)
    monkeypatch.setattr(browser, "_apt", lambda: False)
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


def executable(path: Path, *, code: int = 0) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_the_configured_browser_comes_first(machine: dict[str, str], tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "chromium-headless-shell")
    own = executable(tmp_path / "own")
    assert provide_browser({**machine, "CHROMIUM_PATH": own}) == own


def test_a_configured_browser_that_does_not_start_is_named(machine: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BrowserError, match=r"CHROMIUM_PATH is .*/own"):
        provide_browser({**machine, "CHROMIUM_PATH": str(tmp_path / "own")})


def test_the_headless_shell_is_preferred_to_chromium_and_chrome(
    machine: dict[str, str], tmp_path: Path
) -> None:
    for name in ("google-chrome", "chromium", "chromium-headless-shell"):
        newest = executable(tmp_path / "bin" / name)
        assert provide_browser(machine) == newest


def test_a_browser_that_does_not_start_is_passed_over(machine: dict[str, str], tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "chromium-browser", code=1)
    chrome = executable(tmp_path / "bin" / "google-chrome")
    assert provide_browser(machine) == chrome


@pytest.mark.parametrize(
    "inside", ["chrome-linux/headless_shell", "chrome-headless-shell-linux64/chrome-headless-shell"]
)
def test_what_playwright_has_downloaded_is_found(machine: dict[str, str], inside: str) -> None:
    shell = executable(playwright_folder(machine) / "chromium_headless_shell-1255" / inside)
    assert provide_browser(machine) == shell


def test_a_download_comes_before_apt_and_apt_when_that_fails(
    machine: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def download() -> bool:
        tried.append("download")
        return False

    def apt() -> bool:
        tried.append("apt")
        executable(tmp_path / "bin" / "chromium-headless-shell")
        return True

    monkeypatch.setattr(browser, "_download", download)
    monkeypatch.setattr(browser, "_apt", apt)
    assert provide_browser(machine) == str(tmp_path / "bin" / "chromium-headless-shell")
    assert tried == ["download", "apt"]


def test_without_any_browser_one_is_told_what_to_do(machine: dict[str, str]) -> None:
    with pytest.raises(BrowserError, match="sudo apt install chromium-headless-shell"):
        provide_browser(machine)
