"""Brings a database up to date: each service's plain SQL files, applied by dbmate, in its own schema."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
# Metering first: the gateway is the one that people notice.
SERVICES = ("metering", "api")
WAIT_S = 30
LOCK_WAIT_S = 60
# A statement that cannot get its lock gives up, instead of making every request queue up behind it.
PGOPTIONS = "-c lock_timeout=5s"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class MigrationError(Exception):
    """The database was not brought up to date; the message holds dbmate's own words."""


def migrate(database_url: str) -> None:
    """Apply what is pending; waits up to 30 s for the server and 60 s for another migration that runs.

    Raises MigrationError.
    """
    for service in SERVICES:
        _migrate_service(service, database_url)


def _migrate_service(service: str, database_url: str) -> None:
    folder = ROOT / "services" / service / "migrations"
    if not any(folder.glob("*.sql")):
        return
    done = subprocess.run(  # our own binary and constants; the URL travels by environment
        (
            _dbmate(),
            "--env-file=/dev/null",
            f"--migrations-dir={folder}",
            f"--migrations-table={service}.schema_migrations",
            "--no-dump-schema",
            "--wait",
            "--wait-interval=200ms",
            f"--wait-timeout={WAIT_S}s",
            "--migration-lock",
            f"--migration-lock-timeout={LOCK_WAIT_S}s",
            "migrate",
        ),
        env={**os.environ, "DATABASE_URL": with_sslmode(database_url), "PGOPTIONS": PGOPTIONS},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MigrationError(f"The migrations of {service} failed: {(done.stderr or done.stdout).strip()}")


def with_sslmode(database_url: str) -> str:
    """The URL with ``sslmode=disable`` if unsaid and the server is here; dbmate insists on TLS."""
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query))
    if "sslmode" in query or parts.hostname not in LOOPBACK:
        return database_url
    return urlunsplit(parts._replace(query=urlencode({**query, "sslmode": "disable"})))


def _dbmate() -> str:
    beside_python = Path(sys.executable).parent / "dbmate"
    found = str(beside_python) if beside_python.exists() else shutil.which("dbmate")
    if found is None:
        raise MigrationError("dbmate is not installed: install requirements/api.txt.")
    return found
