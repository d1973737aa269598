"""The environment that every process of `make run` gets: what is configured wins, the rest is made here."""

import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
from honcho.environ import parse

from deploy.local.browser import provide_browser
from deploy.local.postgres import postgres_store
from deploy.local.store import Store, StoreError, free_port
from deploy.local.valkey import valkey_store

DEFAULTS = {"HOST": "127.0.0.1", "PORT": "8080", "LOG_LEVEL": "INFO", "METERING_HOST": "127.0.0.1"}


class Surroundings(msgspec.Struct, frozen=True):
    """The stores that must be started here, and the variables for every process."""

    stores: tuple[Store, ...]
    variables: dict[str, str]


def surroundings(root: Path, data: Path, given: Mapping[str, str]) -> Surroundings:
    """Raises StoreError or BrowserError, whose message says what to do."""
    configured = (
        DEFAULTS | read_dotenv(root / ".env") | {name: value for name, value in given.items() if value}
    )
    require_free(configured["HOST"], configured["PORT"])
    stores = embedded_stores(data, configured)
    urls = {store.variable: store.url for store in stores}
    made = {"OBJECT_STORE_URL": (data / "objects").as_uri(), "METERING_PORT": str(free_port())} | urls
    variables = made | configured
    port = variables["METERING_PORT"]
    last = {"METERING_URL": f"http://127.0.0.1:{port}", "SERVICE_TOKEN": kept_secret(data / "service-token")}
    always = {"CHROMIUM_PATH": provide_browser(configured), "PYTHONUNBUFFERED": "1"}
    return Surroundings(stores, last | variables | always)


def read_dotenv(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return {name: value for name, value in parse(path.read_text()).items() if value}
    except ValueError as error:
        raise StoreError(
            f"{path} cannot be read ({error}). A value with quotes or blanks needs quotes."
        ) from error


def embedded_stores(data: Path, configured: Mapping[str, str]) -> tuple[Store, ...]:
    """The stores that no configured URL stands for."""
    redis_configured = (
        "REDIS_URL" in configured or {"QUEUE_REDIS_URL", "METER_REDIS_URL"} <= configured.keys()
    )
    return (
        *(() if "DATABASE_URL" in configured else (postgres_store(data),)),
        *(() if redis_configured else (valkey_store(data),)),
    )


def require_free(host: str, port: str) -> None:
    """Raises StoreError when somebody listens there already, or nobody may."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except (OSError, ValueError, OverflowError) as error:
            message = (
                f"InvoUno cannot listen on {host}:{port} ({error}). Choose another port: make run PORT=8081"
            )
            raise StoreError(message) from error


def kept_secret(path: Path) -> str:
    """A random secret, made on the first call and the same ever after."""
    if not path.exists() or not path.read_text():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()
