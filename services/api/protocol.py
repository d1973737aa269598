"""uvicorn's HTTP protocol with what it lacks: bounds on a request's bytes, and on the time that its headers take."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.api.http import encode_json, new_request_id

HEADER_BYTES_MAX = 64 * 1024
HEADERS_S = 10.0
# A body of 1 MB that comes one byte a chunk, and some of what a caller still sends after its 413.
REQUEST_BYTES_MAX = 16 * 1024 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """Refuses headers that are too large with 431; closes a connection whose request is too slow or never ends."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _request_bytes = 0
    _in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._request_bytes += len(data)
        if self._request_bytes > REQUEST_BYTES_MAX:
            self.transport.close()
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._deadline is None:
                self._await_headers()
        super().data_received(data)
        if self._in_headers and self._header_bytes > HEADER_BYTES_MAX:
            self._refuse(b"431 Request Header Fields Too Large", "The request headers are too large")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer after the body is dropped, for nobody reads it and there may be any number."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_headers = True
        self._header_bytes = 0
        self._request_bytes = 0

    def _await_headers(self) -> None:
        self._in_headers = True
        self._deadline = self.loop.call_later(HEADERS_S, self.transport.close)

    def _headers_came(self) -> None:
        self._in_headers = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are plain text, ours JSON
        self._refuse(b"400 Bad Request", "The request is not valid HTTP")

    def _refuse(self, status: bytes, message: str) -> None:
        if self.transport.is_closing():
            return
        body = encode_json({"error": "invalid_parameter", "message": message})
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nx-request-id: %s\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, new_request_id(), len(body), body)
        )
        self.transport.close()
