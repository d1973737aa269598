"""Finds and ends a server that a killed run left behind on our own data, and never anything else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.local.store import StoreError

FAST_S = 8.0
KILL_S = 2.0
POLL_S = 0.02


def end_leftover(pid_file: Path, marker: str) -> None:
    """End the process that ``pid_file`` names if ``marker`` stands on its command line, and remove the file.

    Raises StoreError when it does not end.
    """
    pid = _read_pid(pid_file)
    if pid is not None and marker in command_line(pid):
        _end(pid)
    pid_file.unlink(missing_ok=True)


def command_line(pid: int) -> str:
    """The arguments of a running process, joined by blanks; empty when there is no such process."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    question = ("/bin/ps", "-ww", "-o", "command=", "-p", str(pid))
    return subprocess.run(question, capture_output=True, text=True, check=False).stdout


def _read_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _end(pid: int) -> None:
    for number, patience_s in ((signal.SIGINT, FAST_S), (signal.SIGKILL, KILL_S)):
        os.kill(pid, number)
        if _gone_within(pid, patience_s):
            return
    raise StoreError(
        f"Process {pid}, left over from an earlier run, does not end. End it by hand: kill -9 {pid}"
    )


def _gone_within(pid: int, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not command_line(pid):
            return True
        time.sleep(POLL_S)
    return False
