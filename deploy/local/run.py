"""`make run`: both stores, the three services and a guide, in the foreground under honcho."""

import os
import shlex
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from honcho.manager import Manager
from honcho.printer import Printer

from deploy.local.browser import BrowserError
from deploy.local.environment import Surroundings, surroundings
from deploy.local.leash import hold, leashed
from deploy.local.output import GUIDE, LogFiles
from deploy.local.privileges import PrivilegeError
from deploy.local.processes import command_line
from deploy.local.store import StoreError

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".data"
LOCK = DATA / "run.lock"
MODULES = {
    "metering": "services.metering",
    "renderer": "services.renderer",
    "api": "services.api",
    GUIDE: "deploy.local.guide",
}
LEFTOVERS_END_WITHIN_S = 12.0
POLL_S = 0.05
STOPPED_BY_SIGNAL = (130, 143)


class PatientManager(Manager):
    """honcho's manager, which also heeds a stop that comes before it knows the number of every process."""

    _asked = False

    def terminate(self) -> None:
        self._asked = True
        if self._all_started():
            super().terminate()

    def stop_if_asked(self) -> None:
        if self._asked:
            self.terminate()


def main() -> int:
    DATA.mkdir(mode=0o711, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # Until honcho has its own for both.
    try:
        with only_run():
            return run(surroundings(ROOT, DATA, os.environ))
    except (StoreError, BrowserError, PrivilegeError) as error:
        print(error, file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"{error}. Was {DATA} made by another user? Run as that one, or move it away.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return STOPPED_BY_SIGNAL[0]


def only_run() -> IO[str]:
    """The lock of this folder's one run; what a killed run has left behind is given time to end.

    Raises StoreError when another run is alive.
    """
    LOCK.touch(mode=0o600)
    deadline = time.monotonic() + LEFTOVERS_END_WITHIN_S
    while True:
        pid = LOCK.read_text()
        held = hold(LOCK)
        if held is not None:
            held.write(f"{os.getpid()}\n")
            held.truncate()
            held.flush()
            return held
        if _is_a_run(pid) or time.monotonic() > deadline:
            raise StoreError(
                f"InvoUno runs in this folder already. Stop it with Ctrl-C there, or: kill {pid}"
            )
        time.sleep(POLL_S)


def _is_a_run(pid: str) -> bool:
    return pid.strip().isdigit() and "deploy.local.run" in command_line(int(pid))


def run(around: Surroundings) -> int:
    """Start everything and return its exit code when it has ended: by a signal, or because a part failed."""
    with closing(LogFiles(DATA / "log")) as output:
        manager = PatientManager(cast("Printer", output))
        output.on_start = manager.stop_if_asked
        for store in around.stores:
            command = leashed(store.argv, lock_file=LOCK, stop_signal=store.stop_signal)
            manager.add_process(store.name, _shell(command), env=around.variables, cwd=os.sep)
        for name, module in MODULES.items():
            command = leashed((sys.executable, "-m", module), lock_file=LOCK, stop_signal="SIGTERM")
            manager.add_process(name, _shell(command), env=around.variables, cwd=str(ROOT))
        print("Starting InvoUno ...", flush=True)
        manager.loop()
        if manager.returncode not in STOPPED_BY_SIGNAL:
            output.explain_end()
            return 1
    print("InvoUno has stopped.")
    return 0


def _shell(argv: tuple[str, ...]) -> str:
    return f"exec {shlex.join(argv)}"


if __name__ == "__main__":
    sys.exit(main())
