"""Further gateways beside the product's own, each with one part of the world missing."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from product import Product, free_port, running, wait_until_ready

NOBODY = "127.0.0.1:1"  # where nothing listens

# The variable that points a gateway at nothing, by the part that is then missing.
MISSING = {
    "database": {"DATABASE_URL": f"postgresql://nobody@{NOBODY}/none"},
    "meter": {"METER_REDIS_URL": f"redis://{NOBODY}/0"},
    "queue": {"QUEUE_REDIS_URL": f"redis://{NOBODY}/0"},
    "metering": {"METERING_URL": f"http://{NOBODY}"},
}


class Gateways:
    """Starts a gateway when it is first asked for; to be used as a context, which ends them all."""

    def __init__(self, product: Product, folder: Path) -> None:
        self._product = product
        self._folder = folder
        self._running = ExitStack()
        self._urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def without(self, part: str) -> str:
        return self.on(part, MISSING[part])

    def log(self, name: str) -> str:
        """What the gateway of that name has logged."""
        return (self._folder / name / "api.log").read_text()

    def on(self, name: str, environment: dict[str, str]) -> str:
        """The base URL of the gateway of that name, on the product's environment with ``environment`` over it."""
        if name not in self._urls:
            gateway = running_gateway(self._product, self._folder / name, environment)
            self._urls[name] = self._running.enter_context(gateway)
        return self._urls[name]


@contextmanager
def running_gateway(product: Product, folder: Path, environment: dict[str, str]) -> Generator[str]:
    folder.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running("api", {**product.environment(), **environment, "PORT": str(port)}, folder):
        wait_until_ready(f"{url}/health/live", folder)
        yield url
