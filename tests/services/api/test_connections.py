"""Connections: clients that are slow, silent or gone, how many there may be, and what they may hold."""

import json
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from serving import Served, answers, served
from site_app import Application, bodies, eventually, get, post

from services.api import __main__, protocol
from services.api.protocol import PIPELINED_MAX, BoundedProtocol

MB = 1024 * 1024


def is_closed(connection: socket.socket) -> bool:
    """Whether nothing more comes, whatever has come before."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    return True


def test_a_hundred_thousand_requests_whose_answers_nobody_reads_are_neither_read_nor_begun(
    site: Served, application: Application
) -> None:
    with site.connect() as connection:
        sending = threading.Thread(target=_send, args=(connection, get("/large?1000") * 1_000_000))
        sending.start()
        _settled(lambda: len(application.begun))
        [one] = site.server.server_state.connections
        assert isinstance(one, BoundedProtocol)
        assert 0 < len(one.pipeline) <= PIPELINED_MAX + protocol.PIECE_BYTES // 30
        assert 0 < len(one.unparsed) < MB
        assert one.flow.read_paused
        assert one.transport.get_write_buffer_size() < 100_000
        assert len(application.begun) < 50_000
        assert sending.is_alive()
        connection.shutdown(socket.SHUT_RDWR)
        sending.join()


def _send(connection: socket.socket, data: bytes) -> None:
    """As much as is taken until the connection is closed."""
    connection.settimeout(None)
    with suppress(OSError):
        connection.sendall(data)


def _settled(number: Callable[[], int]) -> None:
    """Return when it has been the same for half a second, and something."""
    last = 0
    while (now := number()) != last or not now:
        last = now
        time.sleep(0.5)


@pytest.mark.parametrize("path", ["/large?8000000", "/stream?100000", "/large?3000000"])
def test_a_client_that_does_not_read_is_given_up(
    site: Served, application: Application, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(protocol, "LOOK_S", 0.05)
    monkeypatch.setattr(protocol, "UNREAD_S", 0.3)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(site.address)
        connection.sendall(get(path, "Connection: close") if "3000000" in path else get(path))
        eventually(lambda: bool(application.begun))
        eventually(lambda: site.connections == 0)
    eventually(lambda: application.at_once == 0)
    assert application.chunks < 50_000


def test_a_client_that_reads_slowly_gets_all(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LOOK_S", 0.05)
    monkeypatch.setattr(protocol, "UNREAD_S", 1.0)
    read_bytes = 0
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(site.address)
        connection.sendall(get("/large?12000000", "Connection: close"))
        while chunk := connection.recv(100_000):
            read_bytes += len(chunk)
            time.sleep(0.015)
    assert read_bytes > 12_000_000


@pytest.mark.parametrize("waiting", [b"", get("/waits")])
def test_a_stream_ends_when_its_client_has_gone(
    site: Served, application: Application, waiting: bytes
) -> None:
    with site.connect() as connection:
        connection.sendall(get("/stream?100000") + waiting)
        assert connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: application.at_once == 0)
    assert application.chunks < 50_000
    assert application.begun == ["/stream"]
    assert site.connections == 0


def test_a_client_that_has_gone_leaves_no_timer(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[BoundedProtocol] = []
    ended = BoundedProtocol.connection_lost
    monkeypatch.setattr(
        BoundedProtocol, "connection_lost", lambda self, exc: (lost.append(self), ended(self, exc))
    )
    with site.connect() as connection:
        connection.sendall(get("/1"))
        answers(connection, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: bool(lost))
    assert lost[0].timeout_keep_alive_task is None


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", get("/1")[:-2], get("/1") + b"GET", post("/unread", b"xx")[:-1]],
    ids=["nothing", "a byte", "headers", "next", "body"],
)
def test_a_request_that_does_not_end_closes_the_connection(
    site: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEADERS_S", 0.2)
    monkeypatch.setattr(protocol, "REST_S", 0.2)
    with site.connect() as connection:
        connection.sendall(sent)
        assert is_closed(connection)


def test_a_dripping_client_is_not_waited_for(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS_S", 0.3)
    with site.connect() as connection:
        connection.sendall(get("/1"))
        answers(connection, 1)
        dripping = threading.Thread(target=_drip, args=(connection,))
        dripping.start()
        dripping.join(8)
        assert not dripping.is_alive()


def _drip(connection: socket.socket) -> None:
    """Send an empty line again and again until nobody takes it."""
    with suppress(OSError):
        while True:
            connection.sendall(b"\r\n")
            time.sleep(0.02)


def test_an_answer_under_way_is_not_cut_off_by_what_follows_it(
    site: Served, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADERS_S", 0.1)
    with site.connect() as connection:
        connection.sendall(get("/slow") + b"GET /half")
        eventually(lambda: "/slow" in application.begun)
        time.sleep(0.4)
        application.open.set()
        assert bodies(answers(connection, 1)) == ["/slow"]
        assert is_closed(connection)


def test_an_idle_connection_is_closed_after_a_while(application: Application) -> None:
    with served(application) as site:
        site.server.config.timeout_keep_alive = 1
        with site.connect() as connection:
            connection.sendall(get("/1"))
            assert bodies(answers(connection, 1)) == ["/1"]
            assert is_closed(connection)


def test_connections_beyond_the_bound_are_told_so_and_closed(application: Application) -> None:
    with served(application, connections_max=3) as site:
        kept = [site.connect() for _ in range(3)]
        for connection in kept:
            connection.sendall(get("/kept"))
            answers(connection, 1)
        with site.connect() as connection:
            [refused] = answers(connection, 2)
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        assert json.loads(refused.body)["error"] == "unavailable"
        assert refused.headers["retry-after"] == "1"
        kept.pop().close()
        eventually(lambda: site.connections == 2)
        assert bodies(site.exchange(get("/next"))) == ["/next"]
        for connection in kept:
            connection.close()
    assert application.begun.count("/kept") == 3


# Files


def test_the_limit_of_files_is_raised_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = _limits(monkeypatch, soft=1024, hard=100_000)
    assert __main__.allowed_connections(10_000) == 10_000
    assert limits == [(10_000 + __main__.OWN_FILES, 100_000)]


def test_a_high_limit_of_files_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = _limits(monkeypatch, soft=resource.RLIM_INFINITY, hard=resource.RLIM_INFINITY)
    assert __main__.allowed_connections(10_000) == 10_000
    assert limits == []


def test_there_are_no_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = _limits(monkeypatch, soft=1024, hard=4096)
    assert __main__.allowed_connections(10_000) == 4096 - __main__.OWN_FILES
    assert limits == [(4096, 4096)]


def _limits(monkeypatch: pytest.MonkeyPatch, *, soft: int, hard: int) -> list[tuple[int, int]]:
    """What is set, of limits that are as given."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    return given
