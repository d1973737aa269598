"""Runs one command and ends it when its runner ends, however the runner ended.

The runner holds a lock on a file for as long as it lives; the kernel gives the lock up when it dies. A stop
is passed on as the signal by which the command ends quickly and cleanly, which is not SIGTERM for PostgreSQL.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO

PATIENCE_S = 3.0


def hold(lock_file: Path) -> IO[str] | None:
    """Take the runner's lock until the returned file is closed; None when another process has it.

    The file must stay the only one that this process opens at that path: closing any gives the lock up.
    """
    lock_file.touch(mode=0o600)
    held = lock_file.open("r+")
    try:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        return None
    return held


def leashed(argv: tuple[str, ...], *, lock_file: Path, stop_signal: str) -> tuple[str, ...]:
    """The command line that runs ``argv`` for as long as somebody holds ``lock_file``."""
    return (sys.executable, "-I", str(Path(__file__)), str(lock_file), stop_signal, *argv)


def main() -> int:
    lock_file, stop_signal, *argv = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    child = subprocess.Popen(argv, preexec_fn=_unblock_signals)  # noqa: PLW1509 - one thread until here

    def stop(_number: int, _frame: FrameType | None) -> None:
        child.send_signal(signal.Signals[stop_signal])
        threading.Thread(target=_insist, args=(child,), daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=_stop_with_runner, args=(lock_file,), daemon=True).start()
    _unblock_signals()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _insist(child: subprocess.Popen[bytes]) -> None:
    """PostgreSQL that is stopped in the midst of its start may hang; SIGQUIT ends it without loss all the same."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        time.sleep(PATIENCE_S)
        child.send_signal(number)


def _stop_with_runner(lock_file: str) -> None:
    with Path(lock_file).open() as held:
        fcntl.lockf(held, fcntl.LOCK_SH)
        os.kill(os.getpid(), signal.SIGTERM)


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))


if __name__ == "__main__":
    sys.exit(main())
