"""What a store on this machine is to whoever starts it: a command, an address, how to tell that it is up."""

import socket
import time
from collections.abc import Callable

import msgspec

POLL_S = 0.02


class StoreError(Exception):
    """A store could not be made ready; the message says why and what to do."""


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """``url`` holds the store's password and is told to the services as ``variable``.

    ``stop_signal`` ends the store quickly and cleanly.
    """

    name: str
    variable: str
    argv: tuple[str, ...]
    url: str
    stop_signal: str
    is_ready: Callable[[], bool]


def wait_until_ready(store: Store, *, timeout_s: float, is_alive: Callable[[], bool] = lambda: True) -> None:
    """Return when the store answers. Raises StoreError when it ends first or takes longer."""
    deadline = time.monotonic() + timeout_s
    while not store.is_ready():
        if not is_alive():
            raise StoreError(f"{store.name} ended while it started.")
        if time.monotonic() > deadline:
            raise StoreError(f"{store.name} was not ready within {timeout_s:g} s.")
        time.sleep(POLL_S)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
