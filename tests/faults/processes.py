"""The processes that the suite breaks: a service or a store that can be killed, frozen, thawed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from deploy.local.store import Store, StoreError
from deploy.local.stores import started

STOP_S = 10.0
START_S = 30.0


class Process(Protocol):
    """What a fault can be done to."""

    name: str

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class Service:
    """One of the product's services, on the same port whenever it is started."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.environment = dict(environment)
        self._module = module
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """None while it does not run."""
        return self._process and self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", self._module), env=self.environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Server:
    """An embedded store on data that stays; ``pid_file`` is the server's own."""

    def __init__(self, store: Store, folder: Path, pid_file: Path, *, name: str = "") -> None:
        self.name = name or store.name
        self.url = store.url
        self._store = store
        self._folder = folder
        self._pid_file = pid_file
        self._running: ExitStack | None = None

    @property
    def process_id(self) -> int | None:
        """None while it does not run."""
        return int(self._pid_file.read_text().split()[0]) if self._running is not None else None

    def start(self) -> None:
        """Return when it answers; what a killed server left behind may need a moment to go."""
        deadline = time.monotonic() + START_S
        while self._running is None:
            stack = ExitStack()
            try:
                stack.enter_context(started(self._store, self._folder))
                self._running = stack
            except StoreError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if (process_id := self.process_id) is not None:
            os.kill(process_id, number)
