"""An answer on its way onto its connection: a head and a body that is whole leave in one write.

uvicorn writes one after the other, and each write is a call of the system that wakes the client.
"""

import asyncio
import socket
import struct
from typing import Any

from uvicorn._types import ASGI3Application, ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from services.api.http import BODY_IS_HERE, ClientDisconnectedError

# A larger body is not copied behind its head.
COPIED_BYTES_MAX = 64 * 1024
NOT_MODIFIED = (304, b"")
WITH_BODY = {BODY_IS_HERE: {}}


def heard(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """The application, whose stream raises ClientDisconnectedError once nobody hears it."""
    if cycle.scope["http_version"] == "1.0":
        return _heard_of_old(cycle, app)
    start: HTTPResponseStartEvent | None = None

    async def send(message: ASGISendEvent) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        if start is not None:
            held, start = start, None
            if not message.get("more_body") and await _wrote_whole(cycle, held, message.get("body", b"")):
                return
            await cycle.send(held)
        await _send_heard(cycle, message)

    async def run(scope: Any, receive: Any, _: Any) -> None:
        if not cycle.more_body:
            scope["extensions"] = WITH_BODY
        await app(scope, receive, send)

    return run


async def _wrote_whole(cycle: RequestResponseCycle, start: HTTPResponseStartEvent, body: bytes) -> bool:
    """Whether it was an ordinary answer, which has left; any other is uvicorn's to write, and to check."""
    status, is_head = start["status"], cycle.scope["method"] == "HEAD"
    headers = [*cycle.default_headers, *start.get("headers", ())]
    is_bounded = (
        is_head or (b"content-length", b"%d" % len(body)) in headers or (status, body) == NOT_MODIFIED
    )
    if not (cycle.keep_alive and is_bounded and len(body) <= COPIED_BYTES_MAX):
        return False
    head = b"".join((STATUS_LINE[status], *[b"%b: %b\r\n" % header for header in headers], b"\r\n"))
    if head.count(b"\n") != len(headers) + 2:  # a header's value that would become another line
        return False
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if not cycle.disconnected:
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(head if is_head else head + body)
        cycle.message_event.set()
        cycle.on_response()
    return True


def _heard_of_old(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """HTTP/1.0, where an answer of unknown length ends with its connection, and a broken one with a reset."""

    async def send(message: ASGISendEvent) -> None:
        _unchunk(cycle, message)
        await _send_heard(cycle, message)

    async def run(scope: Any, receive: Any, _: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if cycle.response_started and not cycle.response_complete:
                _cut(cycle.transport)

    return run


async def _send_heard(cycle: RequestResponseCycle, message: ASGISendEvent) -> None:
    await cycle.send(message)
    if cycle.disconnected and message.get("more_body"):
        raise ClientDisconnectedError


def _cut(transport: asyncio.Transport) -> None:
    """Close with a reset, not with an end, which the client would take for that of the answer."""
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()


def _unchunk(cycle: RequestResponseCycle, message: Any) -> None:
    """HTTP/1.0 knows no chunks."""
    if message["type"] == "http.response.start":
        if not any(name == b"content-length" for name, _ in message["headers"]):
            cycle.chunked_encoding = cycle.keep_alive = False
            cycle.default_headers = [header for header in cycle.default_headers if header[0] != b"connection"]
    elif cycle.chunked_encoding is False and not cycle.keep_alive and cycle.expected_content_length == 0:
        cycle.expected_content_length = len(message.get("body", b""))
