"""The product as its callers meet it: three services as real processes on stores of their own, and accounts on it."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from cli.accounts import create_account
from cli.keys import create_key
from cli.main import build_parser
from cli.stores import Settings, Stores

START_S = 30
STOP_S = 10
SERVICE_TOKEN = "a-service-token-for-tests"


class Urls(msgspec.Struct, frozen=True):
    database: str
    redis: str
    objects: str


class Product(msgspec.Struct, frozen=True):
    """``gateway`` and ``metering`` are base URLs."""

    urls: Urls
    gateway: str
    metering: str

    def environment(self) -> dict[str, str]:
        return service_environment(self.urls, metering=self.metering)

    def account(self, *options: str, name: str = "Test Studio") -> str:
        """A new account's id; ``options`` as on the command line."""
        return self._command(create_account, ["accounts", "create", "--name", name, *options])["id"]

    def key(self, account: str, *options: str) -> str:
        return self._command(create_key, ["keys", "create", "--account", account, *options])["key"]

    def caller(self, *options: str, key: str = "") -> httpx2.Client:
        """A client with the key, or with one of a new account on the given options (default: enterprise)."""
        key = key or self.key(self.account(*(options or ("--plan", "enterprise"))))
        return httpx2.Client(base_url=self.gateway, headers={"authorization": f"Bearer {key}"}, timeout=60)

    def _command(self, perform: Any, arguments: list[str]) -> dict[str, Any]:
        return asyncio.run(self._performed(perform, arguments))

    async def _performed(self, perform: Any, arguments: list[str]) -> dict[str, Any]:
        stores = Stores(Settings(database_url=self.urls.database, redis_url=self.urls.redis))
        try:
            return await perform(stores, build_parser().parse_args(arguments))
        finally:
            await stores.aclose()


@contextmanager
def running_product(urls: Urls, folder: Path) -> Generator[Product]:
    metering_port, gateway_port = free_port(), free_port()
    product = Product(urls, f"http://127.0.0.1:{gateway_port}", f"http://127.0.0.1:{metering_port}")
    environment = product.environment()
    with (
        running("metering", {**environment, "METERING_PORT": str(metering_port)}, folder),
        running("renderer", environment, folder),
        running("api", {**environment, "PORT": str(gateway_port)}, folder),
    ):
        wait_until_ready(f"{product.metering}/health/ready", folder)
        wait_until_ready(f"{product.gateway}/health/ready", folder)
        yield product


@contextmanager
def running(service: str, environment: dict[str, str], folder: Path) -> Generator["subprocess.Popen[bytes]"]:
    """The service as a process of its own, ended by SIGTERM; its log lies in ``folder``."""
    with (folder / f"{service}.log").open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", f"services.{service}"), env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def service_environment(urls: Urls, *, metering: str) -> dict[str, str]:
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "CHROMIUM_PATH", "LANG") if name in os.environ
    }
    return {
        **kept,
        "DATABASE_URL": urls.database,
        "REDIS_URL": urls.redis,
        "OBJECT_STORE_URL": urls.objects,
        "METERING_URL": metering,
        "SERVICE_TOKEN": SERVICE_TOKEN,
    }


def wait_until_ready(url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, timeout=5).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.05)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    raise AssertionError(f"{url} was not ready within {START_S} s\n{logs}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
