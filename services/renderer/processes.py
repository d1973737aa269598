"""A browser's processes as the system sees them: what memory they hold, and how much of the machine they may take."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

PROC = Path("/proc")
# What is a process's own, or shared with its siblings alone; code and fonts, which all share, do not leak.
OWN = ("RssAnon:", "RssShmem:")
PS_S = 2.0


def memory_bytes(process_ids: Iterable[int]) -> int:
    """What the processes hold in memory: of Linux their own, elsewhere (macOS) all that `ps` says."""
    if PROC.is_dir():
        return sum(_own_bytes(process_id) for process_id in process_ids)
    return _told_by_ps(process_ids)


def _own_bytes(process_id: int) -> int:
    try:
        lines = (PROC / str(process_id) / "status").read_text().splitlines()
    except OSError:  # It has ended.
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(OWN))


def _told_by_ps(process_ids: Iterable[int]) -> int:
    named = ",".join(map(str, process_ids))
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(  # noqa: S603 - numbers alone are put in
            ("/bin/ps", "-o", "rss=", "-p", named), capture_output=True, check=False, timeout=PS_S
        )
        return sum(int(line) * 1024 for line in told.stdout.split())
    return 0


def lower_priority(process_ids: Iterable[int], niceness: int) -> None:
    """Let others go first, as far as the system permits; what is started by these processes later inherits it."""
    for process_id in process_ids:
        for thread_id in _threads(process_id):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread_id, niceness)


def _threads(process_id: int) -> Iterator[int]:
    """On Linux each thread has its own niceness."""
    try:
        yield from [int(thread.name) for thread in (PROC / str(process_id) / "task").iterdir()]
    except OSError:
        yield process_id
