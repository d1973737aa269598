"""Finds the browser that prints the PDFs, or installs one; as a command it prints the browser's path."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from deploy.local.packages import apt_can_install, apt_install, ran_well

# The headless shell first: it prints three times as fast as the whole browser.
NAMES = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "headless_shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
MAC_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PROBE_TIMEOUT_S = 20
DOWNLOAD_TIMEOUT_S = 300
CONNECT_TIMEOUT_S = 10
ADVICE = """\
No browser to print PDFs with could be found or installed. Any one of these helps:
  Debian:  sudo apt install chromium-headless-shell
  macOS:   brew install --cask chromium    (or Google Chrome)
  others:  install Chromium or Google Chrome, or set CHROMIUM_PATH to its executable"""


class BrowserError(Exception):
    """There is no browser; the message says what to do."""


def provide_browser(environment: Mapping[str, str]) -> str:
    """The path of a browser that starts: the configured one, an installed one, or one that is installed now.

    Raises BrowserError.
    """
    configured = environment.get("CHROMIUM_PATH")
    if configured:
        if not starts(configured):
            raise BrowserError(f"CHROMIUM_PATH is {configured}, which does not start as a browser.")
        return configured
    found = _first_that_starts(installed(environment))
    return found or _install(environment)


def installed(environment: Mapping[str, str]) -> Iterator[str]:
    """What may be a browser, best first: on the path, macOS applications, what Playwright has downloaded."""
    search_path = environment.get("PATH")
    on_path = (shutil.which(name, path=search_path) for name in NAMES)
    yield from (path for path in on_path if path)
    yield from (app for app in MAC_APPS if Path(app).exists())
    shells = playwright_folder(environment).glob("chromium_headless_shell-*/*/*headless*shell")
    yield from (str(shell) for shell in sorted(shells, reverse=True))


def playwright_folder(environment: Mapping[str, str]) -> Path:
    configured = environment.get("PLAYWRIGHT_BROWSERS_PATH")
    if configured:
        return Path(configured)
    home = Path(environment.get("HOME") or Path.home())
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"


def starts(executable: str) -> bool:
    """Whether it tells its version: an empty shell of a package or a missing library shows here."""
    try:
        done = subprocess.run(  # what the operator has installed or configured
            (executable, "--version"), capture_output=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _install(environment: Mapping[str, str]) -> str:
    ways: tuple[Callable[[], bool], ...] = (_download, _apt)
    for way in ways:
        if way():
            found = _first_that_starts(installed(environment))
            if found:
                return found
    raise BrowserError(ADVICE)


def _first_that_starts(candidates: Iterator[str]) -> str | None:
    return next(filter(starts, candidates), None)


def _download() -> bool:
    print("No Chromium or Chrome is installed; downloading a headless one ...", file=sys.stderr)
    # Playwright tries five times, and by default waits 30 s each time on a network that swallows connections.
    patience = f"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT={CONNECT_TIMEOUT_S * 1000}"
    argv = ("env", patience, sys.executable, "-m", "playwright", "install", "--only-shell", "chromium")
    return ran_well(argv, timeout_s=DOWNLOAD_TIMEOUT_S)


def _apt() -> bool:
    return apt_can_install() and apt_install("chromium-headless-shell")


def main() -> int:
    try:
        print(provide_browser(os.environ))
    except BrowserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
