"""An answer leaves in as few writes as it can, and what is not as most answers are leaves as uvicorn writes it."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from starlette.types import Message
from uvicorn.config import Config
from uvicorn.server import ServerState

from services.api.protocol import BoundedProtocol
from services.api.writing import COPIED_BYTES_MAX

Header = tuple[bytes, bytes]


class Writes(asyncio.Transport):
    """What was written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def resume_reading(self) -> None:
        """Nothing comes but what a test gives."""

    pause_reading = resume_reading


async def written(
    body: bytes,
    *more: bytes,
    status: int = 200,
    headers: Sequence[Header] | None = None,
    request: bytes = b"GET / HTTP/1.1",
) -> Writes:
    """The writes of an answer of these pieces, whose length is told unless there are other headers."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        pieces = (body, *more)
        told = [(b"content-length", b"%d" % len(b"".join(pieces)))] if headers is None else list(headers)
        await send(cast("Message", {"type": "http.response.start", "status": status, "headers": told}))
        for at, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": at < len(pieces)})

    config = Config(app, interface="asgi3", lifespan="off", log_config=None, server_header=False)
    config.load()
    protocol, transport = BoundedProtocol(config, ServerState(), {}, asyncio.get_running_loop()), Writes()
    protocol.connection_made(transport)
    protocol.data_received(request + b"\r\nHost: x\r\n\r\n")
    await asyncio.gather(*protocol.tasks)
    protocol.connection_lost(None)
    return transport


async def test_a_whole_answer_is_one_write() -> None:
    [piece] = (await written(b"abc")).pieces
    assert piece == b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"


async def test_an_empty_answer_is_one_write() -> None:
    [piece] = (await written(b"")).pieces
    assert piece.endswith(b"content-length: 0\r\n\r\n")


async def test_what_is_not_modified_is_one_write_without_length() -> None:
    [piece] = [each for each in (await written(b"", status=304, headers=[])).pieces if each]
    assert piece == b"HTTP/1.1 304 Not Modified\r\n\r\n"


async def test_a_head_is_told_without_its_body() -> None:
    [piece] = (await written(b"abc", request=b"HEAD / HTTP/1.1")).pieces
    assert piece.endswith(b"content-length: 3\r\n\r\n")


async def test_a_large_body_is_not_copied() -> None:
    body = b"x" * (COPIED_BYTES_MAX + 1)
    assert (await written(body)).pieces[-1] == body


async def test_a_stream_leaves_in_its_pieces() -> None:
    head, *pieces = (await written(b"abc", b"de", headers=[])).pieces
    assert b"transfer-encoding: chunked" in head
    assert b"".join(pieces) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


async def test_a_caller_that_wants_to_close_is_closed() -> None:
    transport = await written(b"abc", request=b"GET / HTTP/1.1\r\nConnection: close")
    assert b"".join(transport.pieces).endswith(b"connection: close\r\n\r\nabc")
    assert transport.closed


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"3"), (b"x-told", b"one\r\nx-other: two")],
        [(b"content-length", b"2")],
        [(b"content-length", b"4")],
    ],
    ids=["another line", "too short", "too long"],
)
async def test_what_would_break_the_connection_is_not_answered(headers: list[Header]) -> None:
    transport = await written(b"abc", headers=headers)
    assert b"two" not in b"".join(transport.pieces)
    assert transport.closed or b"".join(transport.pieces).startswith(b"HTTP/1.1 500 ")
