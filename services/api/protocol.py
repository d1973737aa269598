"""uvicorn's HTTP protocol with what it lacks: bounds on what a connection may take, in bytes and in time.

No client can make the gateway hold more than a few requests and one answer of it, nor keep it waiting for ever.
"""

import asyncio
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from services.api.http import encode_json, new_request_id
from services.api.writing import heard
from shared.errors import Code

HEADER_BYTES_MAX = 64 * 1024
HEADERS_S = 10.0
# A body of 1 MB that comes one byte a chunk, and some of what a caller still sends after its 413.
REQUEST_BYTES_MAX = 16 * 1024 * 1024
# What is left of a request when it has been answered already, as with 401 or 413.
REST_S = 10.0
# Without any progress of a client that does not take its answer; looked at every LOOK_S.
UNREAD_S = 30.0
LOOK_S = 5.0
# Requests that wait behind the one that is worked on; after these, what has come is not even parsed.
PIPELINED_MAX = 32
_FULL = b"503 Service Unavailable\r\nretry-after: 1"
# What is parsed at a time: at most some hundred of the shortest requests.
PIECE_BYTES = 2048


class Flow(FlowControl):
    """Reading goes on only when what has been read already is parsed."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """One connection, on which requests may follow each other unasked; each is answered in its turn."""

    _flow: Flow
    _active: RequestResponseCycle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _look_timer: asyncio.TimerHandle | None = None
    _header_bytes = 0  # or of what else is no body: trailers, and what chunks may say of themselves
    _request_bytes = 0
    _in_headers = True  # from the end of one request to the end of the next one's headers
    _is_begun = False  # whether any of these headers has come
    _is_over = False  # nothing more is read
    _has_ended = False  # the client sends nothing more, and may still listen
    _refusal = b""  # what is to be written after the answers under way
    _unread_bytes = 0
    _moved_at = 0.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # uvicorn would count tasks as well, and close no connection.
        self.limit_concurrency = None
        self.unparsed = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        most = self.config.limit_concurrency
        if most is not None and len(self.connections) >= most:
            self.transport = transport
            self._is_over = True
            self._write_refusal(_refusal(_FULL, "unavailable", "Too many connections; try again"))
            return
        super().connection_made(transport)
        self.flow = self._flow = Flow(transport)
        self._close_after(HEADERS_S)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._look_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self.unparsed.clear()
        if self._active is not None:
            self._active.disconnected = True
            self._active.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the answers to what came before; close it when there are none."""
        self._has_ended = True
        return self._active is not None and self._in_headers

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._is_over:
            return
        if self.unparsed or len(data) > PIECE_BYTES:
            self.unparsed += data
            self._parse_on()
        else:
            self._parse(data)
        if self._in_headers and self._active is None:
            self._close_after(HEADERS_S)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer after the body is dropped, for nobody reads it and there may be any number."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_headers = self._is_begun = False
        self._stay_open()
        if self.scope["http_version"] == "1.0" and self._parser.should_keep_alive():
            self.cycle.keep_alive = True
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"keep-alive")]

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_headers = True
        self._header_bytes = 0
        self._request_bytes = 0
        self._stay_open()

    def on_response_complete(self) -> None:
        self._active = None
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self._parse_on()
        if self._active is None:
            self._rest()

    @property
    def _parser(self) -> httptools.HttpRequestParser:
        return cast("httptools.HttpRequestParser", self.parser)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, heard(cycle, app))

    def _parse_on(self) -> None:
        """Parse what has come as far as there is room for it; until all is parsed, nothing is read."""
        while self.unparsed and not self._is_over and len(self.pipeline) < PIPELINED_MAX:
            piece = bytes(self.unparsed[:PIECE_BYTES])
            del self.unparsed[:PIECE_BYTES]
            self._parse(piece)
        if self.unparsed or self._is_over:
            self._flow.is_held = True
            self._flow.pause_reading()
        elif self._flow.is_held:
            self._flow.is_held = False
            self._flow.resume_reading()

    def _parse(self, piece: bytes) -> None:
        self._request_bytes += len(piece)
        if self._request_bytes > REQUEST_BYTES_MAX:
            self.transport.close()
            return
        self._header_bytes += len(piece)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_after_upgrade(piece[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request", "The request is not valid HTTP")
        if self._header_bytes > HEADER_BYTES_MAX:
            self._refuse(b"431 Request Header Fields Too Large", "The request headers are too large")

    def _parse_after_upgrade(self, piece: bytes) -> None:
        """An upgrade that is asked for is not made; httptools has left out the request's body, though."""
        names = {name for name, _ in self.headers}
        if names & {b"content-length", b"transfer-encoding"} or self.scope["method"] == "CONNECT":
            self._in_headers = False
            self._refuse(b"400 Bad Request", "There is nothing to upgrade to; send the body without Upgrade")
        elif piece:
            self._parse(piece)

    def _rest(self) -> None:
        """All that has come is answered."""
        if self._refusal:
            self._write_refusal(self._refusal)
        elif self._has_ended:
            self.transport.close()
        elif not self._in_headers:
            self._close_after(REST_S)
        elif self._is_begun:
            self._close_after(HEADERS_S)

    def _close_after(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self._close_late)

    def _stay_open(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_late(self) -> None:
        """Not while a request is answered: what is late then is looked at afterwards."""
        self._deadline = None
        if self._active is None:
            self.transport.close()

    def _look_later(self) -> None:
        self._look_timer = self.loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Give a client up that takes nothing of what is written; closing would wait for it."""
        unread_bytes = self.transport.get_write_buffer_size()
        now = self.loop.time()
        if not unread_bytes or unread_bytes != self._unread_bytes:
            self._unread_bytes, self._moved_at = unread_bytes, now
        elif now - self._moved_at >= UNREAD_S:
            self.transport.abort()
            return
        self._look_later()

    def _refuse(self, status: bytes, message: str) -> None:
        """Answer what cannot be read, after all that came before it; there is no way to go on reading."""
        if self.transport.is_closing() or self._is_over:
            return
        self._is_over = True
        self.unparsed.clear()
        self._refusal = _refusal(status, "invalid_parameter", message)
        if not self._in_headers:
            self._drop_broken()
        if self._active is None:
            self._write_refusal(self._refusal)

    def _drop_broken(self) -> None:
        """The last request, whose body is broken off: it is not to be worked on, and its answer is the refusal."""
        active = self._active
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        elif active is not None and active is self.cycle:
            active.disconnected = True
            active.message_event.set()
            if active.response_started:
                self.transport.close()
            self._active = None
        else:
            self.transport.close()  # it has been answered

    def _write_refusal(self, refusal: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(refusal)
            self.transport.close()


def _refusal(status: bytes, code: Code, message: str) -> bytes:
    body = encode_json({"error": code, "message": message})
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nx-request-id: %s\r\n"
        b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, new_request_id(), len(body), body)
    )
