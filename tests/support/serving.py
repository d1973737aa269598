"""Any application behind the gateway's own server, on a port of its own, and what comes back on a socket."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import BinaryIO

import msgspec
import uvicorn
from raw import RawAnswer
from starlette.types import ASGIApp

from services.api.__main__ import serving
from services.api.settings import Settings

START_S = 10
TIMEOUT_S = 10
SETTINGS = Settings(database_url="", object_store_url="", service_token="")
CONNECTIONS_MAX = 100

Address = tuple[str, int]


class Served(msgspec.Struct, frozen=True):
    """``server`` runs in a thread of its own, on uvloop as in production."""

    address: Address
    server: uvicorn.Server

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, TIMEOUT_S)

    def exchange(self, *chunks: bytes, count: int = 1) -> list[RawAnswer]:
        """The answers to all that is sent; fewer when the connection is closed before."""
        with self.connect() as connection:
            for chunk in chunks:
                connection.sendall(chunk)
            return answers(connection, count)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@contextmanager
def served(app: ASGIApp, *, connections_max: int = CONNECTIONS_MAX) -> Generator[Served]:
    config = serving(app, SETTINGS, connections_max=connections_max)
    config.lifespan = "off"
    server = uvicorn.Server(config)
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        running = threading.Thread(target=server.run, args=([listener],), daemon=True)
        running.start()
        deadline = time.monotonic() + START_S
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield Served(listener.getsockname(), server)
        finally:
            server.should_exit = server.force_exit = True
            running.join(START_S)


def answers(connection: socket.socket, count: int) -> list[RawAnswer]:
    with connection.makefile("rb") as incoming:
        found = (_read(incoming) for _ in range(count))
        return [answer for answer in found if answer is not None]


def _read(incoming: BinaryIO) -> RawAnswer | None:
    line = incoming.readline()
    if not line:
        return None
    headers: dict[str, str] = {}
    while (header := incoming.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return RawAnswer(int(line.split()[1]), headers, _body(incoming, headers))


def _body(incoming: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        return b"".join(_chunks(incoming))
    return incoming.read(int(headers["content-length"])) if "content-length" in headers else incoming.read()


def _chunks(incoming: BinaryIO) -> Generator[bytes]:
    while size := int(incoming.readline(), 16):
        yield incoming.read(size)
        incoming.readline()
    incoming.readline()
