"""Bytes on a socket: for requests that no HTTP client would send."""

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

TIMEOUT_S = 10
ENDLESS_BYTES = 256 * 1024 * 1024


class RawAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


def exchange(base_url: str, *chunks: bytes) -> RawAnswer:
    """Send the chunks and read one answer; a server that stops reading early is no failure."""
    parts = urlsplit(base_url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), TIMEOUT_S) as connection:
        _send(connection, chunks)
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = dict(_headers(answer))
            return RawAnswer(status, headers, answer.read(int(headers.get("content-length", "0"))))


def sent_until_closed(base_url: str, head: bytes, endless: bytes) -> int:
    """How many bytes a server takes of what never ends before it closes the connection."""
    parts = urlsplit(base_url)
    sent_bytes = 0
    with socket.create_connection((parts.hostname or "", parts.port or 80), TIMEOUT_S) as connection:
        try:
            connection.sendall(head)
            while sent_bytes < ENDLESS_BYTES:
                connection.sendall(endless)
                sent_bytes += len(endless)
        except (BrokenPipeError, ConnectionResetError):
            pass
    return sent_bytes


def _send(connection: socket.socket, chunks: Iterable[bytes]) -> None:
    try:
        for chunk in chunks:
            connection.sendall(chunk)
    except (BrokenPipeError, ConnectionResetError):
        return


def _headers(lines: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if line == b"\r\n":
            return
        name, _, value = line.decode("latin-1").partition(":")
        yield name.lower(), value.strip()
