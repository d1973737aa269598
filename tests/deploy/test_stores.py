import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from deploy.local import stores
from deploy.local.leash import hold, leashed
from deploy.local.postgres import postgres_store
from deploy.local.processes import command_line, end_leftover
from deploy.local.store import Store, wait_until_ready
from deploy.local.stores import started, throwaway_stores
from deploy.local.valkey import valkey_store

RUNNER = """
import sys, time
from collections.abc import Callable
from pathlib import Path
from deploy.local.stores import started
from deploy.local.valkey import valkey_store
folder = Path(sys.argv[1])
with started(valkey_store(folder), folder):
    print((folder / "valkey" / "valkey.pid").read_text().strip(), flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def closed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nobody but its owner may enter, as under root's home."""
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    return folder


@pytest.mark.parametrize("memory", ["small", "missing"])
def test_stores_lie_on_the_disk_where_memory_has_no_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, memory: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if memory == "small":
        monkeypatch.setattr(stores, "MEMORY_MIN_BYTES", sys.maxsize)
    else:
        monkeypatch.setattr(stores, "MEMORY", tmp_path / "missing")
    with throwaway_stores():
        (folder,) = tmp_path.iterdir()
        assert (folder / "postgres" / "PG_VERSION").exists()
    assert list(tmp_path.iterdir()) == []


async def test_a_test_has_a_database_and_a_redis_of_its_own(
    database_url: str, redis_url: str, object_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    assert (await connection.fetchval("show server_version")).startswith("18")
    await connection.close()
    async with Redis.from_url(redis_url) as redis:
        assert (await redis.info("server"))["valkey_version"].startswith("9")
        assert await redis.dbsize() == 0
    assert object_url.startswith("file:///")


async def test_postgres_keeps_its_data_and_stops_without_waiting_for_its_clients(closed_folder: Path) -> None:
    with started(store := postgres_store(closed_folder), closed_folder):
        connection = await asyncpg.connect(store.url)
        await connection.execute("create table kept as select 42 as answer")
    assert "terminating connection" in (closed_folder / "postgres.log").read_text()
    assert not (closed_folder / "postgres" / "postmaster.pid").exists()  # which one that was killed leaves
    connection.terminate()
    with started(store := postgres_store(closed_folder), closed_folder):
        connection = await asyncpg.connect(store.url)
        assert await connection.fetchval("select answer from kept") == 42
        assert await connection.fetchval("show data_checksums") == "on"
        await connection.close()


async def test_valkey_keeps_its_data(closed_folder: Path) -> None:
    for expected in (1, 2):
        with started(store := valkey_store(closed_folder), closed_folder):
            async with Redis.from_url(store.url) as redis:
                assert await redis.incr("runs") == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's stores run as that user")
def test_no_store_runs_as_root_and_no_password_is_on_a_command_line(closed_folder: Path) -> None:
    for store in (postgres_store(closed_folder), valkey_store(closed_folder)):
        with started(store, closed_folder):
            pid_file = (
                closed_folder
                / store.name
                / {"postgres": "postmaster.pid", "valkey": "valkey.pid"}[store.name]
            )
            pid = int(pid_file.read_text().split()[0])
            assert Path(f"/proc/{pid}").stat().st_uid != 0
            password = store.url.split("@")[0].split(":")[-1]
            assert password not in command_line(pid)


def test_a_store_ends_when_its_runner_is_killed(closed_folder: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", RUNNER, str(closed_folder)), stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        assert "valkey-server" in command_line(pid)
        runner.kill()
    assert gone_within(pid, 5)


@pytest.mark.parametrize(
    ("make", "pid_file"), [(postgres_store, "postgres/postmaster.pid"), (valkey_store, "valkey/valkey.pid")]
)
def test_a_store_that_nobody_ended_is_ended_by_the_next_start(
    closed_folder: Path, make: Callable[[Path], Store], pid_file: str
) -> None:
    store = make(closed_folder)
    with subprocess.Popen(store.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as left:
        wait_until_ready(store, timeout_s=10)
        assert (closed_folder / pid_file).exists()
        with started(make(closed_folder), closed_folder):
            assert left.wait(30) is not None


def test_a_pid_file_that_names_somebody_else_harms_nobody(tmp_path: Path) -> None:
    pid_file = tmp_path / "valkey.pid"
    with subprocess.Popen(("sleep", "60")) as innocent:  # noqa: S607
        pid_file.write_text(f"{innocent.pid}\n")
        end_leftover(pid_file, str(tmp_path))
        assert not pid_file.exists()
        assert innocent.poll() is None
        innocent.send_signal(signal.SIGKILL)


def test_a_command_that_ignores_a_stop_is_ended_all_the_same(tmp_path: Path) -> None:
    stubborn = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    lock = hold(tmp_path / "lock")
    assert lock is not None
    argv = leashed(stubborn, lock_file=tmp_path / "lock", stop_signal="SIGTERM")
    with lock, subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        # By the second word, or on a machine that has very much to do by the third.
        assert process.wait(30) in {128 + signal.SIGQUIT, 128 + signal.SIGKILL}


def gone_within(pid: int, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while command_line(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not command_line(pid)
