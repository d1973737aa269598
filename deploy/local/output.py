"""Where the processes' lines go: each into its file, and to the terminal only what a person must see."""

import logging
import re
import sys
from collections import deque
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Protocol

import msgspec

GUIDE = "guide"
LOG_SIZE_BYTES_MAX = 10_000_000
LAST_LINES = 12
LOUD_LEVELS = ("error", "critical")
STARTED = re.compile(r"started \(pid=\d+\)$")
STOPPED = re.compile(r"(\S+) stopped \(rc=")


class Message(Protocol):
    """What honcho hands to its printer."""

    name: str
    data: bytes | str


class Line(msgspec.Struct, frozen=True):
    """The part of a service's JSON line that a person at the terminal is shown, when it is loud."""

    level: str = ""
    event: str = ""
    exception: str = ""


class LogFiles:
    """honcho's printer: the guide's lines are shown as they are, the others' go into ``folder/name.log``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.width = 0
        self.on_start: Callable[[], None] = _ignore
        self._folder = folder
        self._files: dict[str, logging.Logger] = {}
        self._last: dict[str, deque[str]] = {}
        self._first_stopped = ""

    def write(self, message: Message) -> None:
        text = message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
        line = text.rstrip("\n")
        if message.name == GUIDE:
            print(line, flush=True)
            return
        self._file(message.name).info("%s", line)
        self._last[message.name].append(line)
        if message.name == "system" and STARTED.search(line):
            self.on_start()
        stopped = STOPPED.match(line) if message.name == "system" else None
        if stopped and not self._first_stopped:
            self._first_stopped = stopped[1]
        alarm = _alarm(line)
        if alarm:
            print(
                f"{message.name}: {alarm} (see {self._folder / message.name}.log)",
                file=sys.stderr,
                flush=True,
            )

    def explain_end(self) -> None:
        """Say which part ended first, and its last words; the guide has spoken already."""
        name = self._first_stopped
        if name == GUIDE:
            return
        print(f"{name} has ended, and so everything was stopped. Its last lines:", file=sys.stderr)
        for line in self._last.get(name, ()):
            print(f"  {line}", file=sys.stderr)
        print(f"More in {self._folder / name}.log", file=sys.stderr)

    def close(self) -> None:
        for file in self._files.values():
            for handler in file.handlers:
                handler.close()

    def _file(self, name: str) -> logging.Logger:
        if name not in self._files:
            file = logging.Logger(name)  # noqa: LOG001 - a file of its own, not a part of this program's log
            path = self._folder / f"{name}.log"
            file.addHandler(RotatingFileHandler(path, maxBytes=LOG_SIZE_BYTES_MAX, backupCount=1))
            self._files[name] = file
            self._last[name] = deque(maxlen=LAST_LINES)
        return self._files[name]


def _ignore() -> None:
    """Nothing is to be done when a process has started."""


def _alarm(line: str) -> str:
    try:
        said = msgspec.json.decode(line, type=Line)
    except msgspec.DecodeError:
        return ""
    return " ".join((said.event, *said.exception.splitlines()[-1:])) if said.level in LOUD_LEVELS else ""
