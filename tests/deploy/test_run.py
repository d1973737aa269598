"""`make run` as a newcomer meets it, in copies of this folder that share its virtual environment."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from honcho.environ import parse

from deploy.local.store import free_port

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("services", "shared", "cli", "deploy")
COMMAND = (sys.executable, "-m", "deploy.local.run")
UP = "InvoUno is up."
MARK = "INVOUNO_TEST_RUN"
CONFIGURED = ("DATABASE_URL", "REDIS_URL", "QUEUE_REDIS_URL", "METER_REDIS_URL", "OBJECT_STORE_URL")

EARLY_STOP = """
import sys
from pathlib import Path
from deploy.local.output import LogFiles
from deploy.local.run import PatientManager
output = LogFiles(Path(sys.argv[1]))
manager = PatientManager(output)
output.on_start = manager.stop_if_asked
manager.add_process("one", "exec sleep 60")
manager.add_process("two", "exec sleep 60")
manager.terminate()
manager.loop()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for leftovers in /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_product(tmp_path_factory.mktemp("run"))


def copy_of_the_product(target: Path) -> Path:
    for part in PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def variables(folder: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in CONFIGURED}
    return {**kept, "PORT": str(port), MARK: str(folder)}


@contextmanager
def running(folder: Path, *, port: int = 0) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The product started in ``folder`` and what it said until it was up; stopped by Ctrl-C's signal on leaving."""
    with subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=variables(folder, port or free_port()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, said_until_up(process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.stdout.read()


def said_until_up(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if UP in said and "Ctrl-C" in line:
            return said
    pytest.fail(f"it ended with {process.wait()} before it was up:\n{said}")


def refused(folder: Path, port: int) -> str:
    """What a start that must not come about says."""
    done = subprocess.run(
        COMMAND,
        cwd=folder,
        env=variables(folder, port),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def demo(folder: Path) -> dict[str, str]:
    return parse((folder / ".data" / "demo.env").read_text())


def documents(folder: Path) -> int:
    kept = demo(folder)
    answer = httpx.get(
        f"{kept['INVOUNO_URL']}/v1/documents", headers={"Authorization": f"Bearer {kept['INVOUNO_KEY']}"}
    )
    return answer.raise_for_status().json()["pagination"]["total"]


def left_over(folder: Path) -> list[str]:
    """The commands of the processes that the run in ``folder`` has started and that are still there."""
    mark = f"{MARK}={folder}".encode()
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_the_first_start_shows_a_url_a_key_that_works_and_a_pdf(folder: Path) -> None:
    with running(folder) as (process, said):
        kept = demo(folder)
        assert (folder / ".data" / "demo.env").stat().st_mode & 0o777 == 0o600
        assert f"URL   {kept['INVOUNO_URL']}\n" in said
        assert f"Key   {kept['INVOUNO_KEY']}\n" in said
        assert (
            f'curl {kept["INVOUNO_URL"]}/v1/documents -H "Authorization: Bearer {kept["INVOUNO_KEY"]}"'
            in said
        )
        pdf = Path(said.split("PDF   ")[1].splitlines()[0])
        assert pdf.read_bytes().startswith(b"%PDF-")
        assert pdf.parent == folder / ".data" / "demo"
        assert documents(folder) == 1
        port = int(kept["INVOUNO_URL"].rsplit(":", 1)[1])
        assert f"in this folder already. Stop it with Ctrl-C there, or: kill {process.pid}" in refused(
            folder, port
        )
        assert left_over(folder)
    assert process.returncode == 0
    assert left_over(folder) == []


def test_the_next_start_has_yesterdays_data(folder: Path) -> None:
    key = demo(folder)["INVOUNO_KEY"]
    with running(folder):
        assert demo(folder)["INVOUNO_KEY"] == key
        assert documents(folder) == 1
    assert left_over(folder) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands use curl")
def test_the_readmes_commands_work_as_they_stand(folder: Path) -> None:
    (commands,) = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    with running(folder):
        done = subprocess.run(
            ("/bin/sh", "-euc", commands), cwd=folder, capture_output=True, text=True, check=True
        )
    assert '"total":1' in done.stdout


def test_a_killed_run_leaves_nothing_that_lives_and_the_next_one_copes(folder: Path) -> None:
    with running(folder) as (process, _said):
        process.kill()
        process.wait()
        with running(folder):
            assert documents(folder) == 1
    assert left_over(folder) == []


def test_two_folders_run_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = copy_of_the_product(tmp_path / "other")
    with running(folder), running(other):
        assert demo(folder)["INVOUNO_URL"] != demo(other)["INVOUNO_URL"]
        assert documents(folder) == documents(other) == 1
    assert left_over(folder) == left_over(other) == []


def test_a_port_that_is_taken_is_said_in_words(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(folder, port)
    assert f"InvoUno cannot listen on 127.0.0.1:{port}" in said
    assert "make run PORT=" in said


def test_a_stop_that_comes_before_anything_has_started_is_heeded(tmp_path: Path) -> None:
    argv = (sys.executable, "-c", EARLY_STOP, str(tmp_path))
    subprocess.run(argv, cwd=ROOT, timeout=20, check=False)
    assert "two stopped" in (tmp_path / "system.log").read_text()
