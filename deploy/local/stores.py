"""Both stores at once, in a folder that goes again: what the tests run on."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from deploy.local.leash import hold, leashed
from deploy.local.postgres import postgres_store
from deploy.local.store import Store, StoreError, wait_until_ready
from deploy.local.valkey import valkey_store

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made in it
MEMORY_MIN_BYTES = 6 << 30


class StoreUrls(msgspec.Struct, frozen=True):
    """``database`` is the URL of a PostgreSQL superuser, ``redis`` that of Valkey's database 0."""

    database: str
    redis: str


@contextmanager
def throwaway_stores() -> Generator[StoreUrls]:
    """Both stores on free ports in a temporary folder, gone on leaving, ended when this process dies."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="invouno-stores-", dir=_roomy_memory()))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # What lies in it is closed; through it the stores' user reaches what is its own.
        stores = [make(folder, durable=False) for make in (postgres_store, valkey_store)]
        for store in stores:
            stack.enter_context(started(store, folder))
        yield StoreUrls(*(store.url for store in stores))


def _roomy_memory() -> Path | None:
    """A file system in memory with room for the stores of a test run.

    Each new database is some 400 files, and a disk may take a millisecond to make one.
    """
    try:
        roomy = shutil.disk_usage(MEMORY).free >= MEMORY_MIN_BYTES and os.access(MEMORY, os.W_OK)
    except OSError:
        return None
    return MEMORY if roomy else None


@contextmanager
def started(store: Store, folder: Path) -> Generator[subprocess.Popen[bytes]]:
    """The store, up and answering, its output in ``folder``; ended on leaving.

    Raises StoreError when it does not come up.
    """
    lock_file = folder / f"{store.name}.lock"
    output = folder / f"{store.name}.log"
    lock = hold(lock_file)
    if lock is None:
        raise StoreError(f"Another process runs {store.name} in {folder}.")
    with lock, output.open("wb") as written:
        # A session of its own, so that Ctrl-C reaches the tests and not the stores that they still need.
        process = subprocess.Popen(  # our own command line
            leashed(store.argv, lock_file=lock_file, stop_signal=store.stop_signal),
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(store, process, output)
            yield process
        finally:
            _end(process)


def _wait(store: Store, process: subprocess.Popen[bytes], output: Path) -> None:
    try:
        wait_until_ready(store, timeout_s=START_TIMEOUT_S, is_alive=lambda: process.poll() is None)
    except StoreError as error:
        raise StoreError(f"{error}\n{output.read_text(errors='replace')[-2000:]}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
