"""Content codings by RFC 9110: answers go out as gzip to those who take it, and requests may come so.

It stands around the whole application. What may be encoded is what says that it varies by Accept-Encoding.
"""

import asyncio
import zlib
from collections.abc import Sequence
from operator import itemgetter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Problem

# Less fits one packet anyhow. From here on 8 µs save two thirds of the bytes.
ENCODED_BYTES_MIN = 1400
# Compressing so much holds the event loop up for a third of a millisecond; more is a thread's work.
IN_LOOP_BYTES_MAX = 256 * 1024
# A compressor of zlib's own defaults takes 256 KB and 50 µs to set up; this one 64 KB and 7, and saves as much.
LEVEL, WINDOW_BITS, MEMORY = 3, 13, 6
# So much of a request is inflated at a time: whoever reads it counts what comes, and stops.
INFLATED_BYTES_MAX = 64 * 1024
# Each may cost a microsecond and inflate to nothing.
MEMBERS_MAX = 100

VARIES = (b"vary", b"accept-encoding")
_ENCODED = (b"content-encoding", b"gzip")
_ACCEPTED = (b"accept-encoding", b"gzip")
_GZIP = 16  # what zlib adds to the window's bits for gzip's own head and tail
_GZIP_NAMES = frozenset({b"gzip", b"x-gzip"})
_TEXTS = frozenset({b"application/json", b"application/x-ndjson", b"application/ndjson", b"application/xml"})
_UNENCODED_STATUSES = frozenset({204, 206, 304})
_CONDITIONS = frozenset({b"if-match", b"if-none-match"})
_CONCERNED = frozenset({b"accept-encoding", b"content-encoding", *_CONDITIONS})
_name = itemgetter(0)

HeaderList = Sequence[tuple[bytes, bytes]]


def varies(status: int, headers: HeaderList, size_bytes: int | None) -> bool:
    """Whether this answer may be encoded, and so differs by Accept-Encoding; its size is None for a stream.

    One that is not modified tells of the answer that it stands for, whose kind it does not say.
    """
    if size_bytes is not None and size_bytes < ENCODED_BYTES_MIN:
        return status == 304  # noqa: PLR2004 - Not Modified
    return status not in _UNENCODED_STATUSES and _is_text(headers)


def accepts_gzip(given: bytes) -> bool:
    """Whether gzip is to be preferred, by the value of Accept-Encoding (RFC 9110, 12.5.3)."""
    weights = _weights(given)
    anything = weights.get(b"*", 0.0)
    gzip = max((weights[name] for name in _GZIP_NAMES & weights.keys()), default=anything)
    return gzip > 0 and gzip >= weights.get(b"identity", anything)


def refuses_identity(given: bytes) -> bool:
    """Whether even what is not worth it is to be encoded."""
    weights = _weights(given)
    return weights.get(b"identity", weights.get(b"*", 1.0)) == 0


class Compression:
    """An ASGI application around another; a request that says nothing of codings or tags passes untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _CONCERNED.isdisjoint(map(_name, scope["headers"])):
            encoder = Encoder(scope, send)
            receive = encoder.reading(receive)
            scope = {**scope, "headers": [_plain(header) for header in scope["headers"]]}
            send = encoder
        await self._app(scope, receive, send)


class Encoder:
    """One answer on its way out: held back until its first bytes are known, then sent as gzip where that pays."""

    def __init__(self, scope: Scope, send: Send) -> None:
        headers = scope["headers"]
        self._send = send
        self._is_head = scope["method"] == "HEAD"
        accepted = _joined(headers, b"accept-encoding")
        self._accepts = accepts_gzip(accepted)
        self._must = self._accepts and refuses_identity(accepted)
        self._known = _joined(headers, b"if-none-match")
        self._coding = _joined(headers, b"content-encoding").strip().lower()
        self._held: Message | None = None
        self._deflater: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._held is not None:
            held, self._held = self._held, None
            await self._first(held, message)
        elif self._deflater is not None:
            await self._piece(self._deflater, message)
        else:
            await self._send(message)

    def reading(self, receive: Receive) -> Receive:
        """What the request's body is read by; raises unsupported_media_type when it is read."""
        if self._coding in {b"", b"identity"}:
            return receive
        return Inflated(receive) if self._coding in _GZIP_NAMES else _refused

    async def _start(self, message: Message) -> None:
        headers: HeaderList = message["headers"]
        if message["status"] == 304:  # noqa: PLR2004 - Not Modified
            message = {**message, "headers": [self._known_tag(header) for header in headers]}
        elif message["status"] == 415 and not self._reads_coding():  # noqa: PLR2004 - Unsupported Media Type
            message = {**message, "headers": [*headers, _ACCEPTED]}
        elif self._accepts and VARIES in headers:
            self._held = message
            return
        elif self._must and varies(message["status"], headers, None):
            self._held = {**message, "headers": [*headers, VARIES]}
            return
        await self._send(message)

    async def _first(self, start: Message, message: Message) -> None:
        """All of the body, or the first piece of a stream; a HEAD of a stream has neither."""
        body, is_whole = message.get("body", b""), not message.get("more_body", False)
        if is_whole and body:
            await self._whole(start, body)
            return
        await self._send(_encoded(start, None))
        if self._is_head:
            await self._send(message)
            return
        self._deflater = _deflater()
        await self._piece(self._deflater, message)

    async def _whole(self, start: Message, body: bytes) -> None:
        deflater = _deflater()
        small = await _deflated(deflater, body) + deflater.flush()
        pays = self._must or len(small) < len(body)
        await self._send(_encoded(start, len(small)) if pays else start)
        await self._send({"type": "http.response.body", "body": small if pays else body})

    async def _piece(self, deflater: "zlib._Compress", message: Message) -> None:
        """Each piece can be read as soon as it has come."""
        more = message.get("more_body", False)
        small = await _deflated(deflater, message.get("body", b""))
        small += deflater.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)
        await self._send({**message, "body": small})
        await asyncio.sleep(0)  # so much fits what is to be written that nothing else would make it wait

    def _known_tag(self, header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        """The tag of the answer that the caller holds: the encoded one, where that is what it has named."""
        name, tag = header
        encoded = _tagged(tag)
        held = name == b"etag" and encoded in self._known and (self._accepts or tag not in self._known)
        return (name, encoded) if held else header

    def _reads_coding(self) -> bool:
        return self._coding in {b"", b"identity"} or self._coding in _GZIP_NAMES


class Inflated:
    """The body of a request that came as gzip, in pieces of bounded size; a bomb is inflated no further than read.

    Raises invalid_parameter for what is no gzip.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._inflater = zlib.decompressobj(_GZIP + zlib.MAX_WBITS)
        self._members = 1
        self._begun = False  # whether the member under way has any bytes
        self._waiting = b""  # compressed, as it came
        self._more = True
        self._full = False  # whether the inflater holds more than it was allowed to give

    async def __call__(self) -> Message:
        while True:
            if self._more and not (self._waiting or self._full):
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._waiting, self._more = message.get("body", b""), message.get("more_body", False)
            else:
                await asyncio.sleep(0)  # others have their turn between two pieces
            body = self._inflate() if self._waiting or self._full else b""
            more = bool(self._more or self._waiting or self._full)
            if self._begun and not more:
                raise _no_gzip()
            if body or not more:
                return {"type": "http.request", "body": body, "more_body": more}

    def _inflate(self) -> bytes:
        if self._members > MEMBERS_MAX:
            raise _no_gzip()
        try:
            body = self._inflater.decompress(self._waiting, INFLATED_BYTES_MAX)
        except zlib.error:
            raise _no_gzip() from None
        self._begun = not self._inflater.eof
        self._full = self._begun and len(body) == INFLATED_BYTES_MAX
        self._waiting = self._inflater.unconsumed_tail
        if self._inflater.eof:
            self._waiting = self._inflater.unused_data
            self._inflater = zlib.decompressobj(_GZIP + zlib.MAX_WBITS)
            self._members += 1
        return body


def _is_text(headers: HeaderList) -> bool:
    """Whether it is of a kind that compresses, and not encoded already."""
    kind = b""
    for name, value in headers:
        if name == b"content-encoding":
            return False
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
    return kind in _TEXTS or kind.startswith(b"text/") or kind.endswith((b"+json", b"+xml"))


def _weights(given: bytes) -> dict[bytes, float]:
    return dict(_weight(part) for part in given.lower().split(b","))


def _weight(part: bytes) -> tuple[bytes, float]:
    """A coding and how much it is wanted, from 0 to 1; one whose weight cannot be read is not wanted."""
    coding, _, parameter = part.partition(b";")
    name, _, given = parameter.replace(b" ", b"").replace(b"\t", b"").partition(b"=")
    if not name:
        return coding.strip(), 1.0
    try:
        weight = float(given) if name == b"q" else 0.0
    except ValueError:
        weight = 0.0
    return coding.strip(), weight if 0 <= weight <= 1 else 0.0


def _joined(headers: HeaderList, wanted: bytes) -> bytes:
    return b",".join([value for name, value in headers if name == wanted])


def _plain(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A condition by the tag of an encoded answer is one by that of the answer itself."""
    name, value = header
    return (name, value.replace(b'-gzip"', b'"')) if name in _CONDITIONS else header


def _tagged(tag: bytes) -> bytes:
    """The encoded answer's tag: other bytes need another one, but for a weak one, which is not of the bytes."""
    return tag[:-1] + b'-gzip"' if tag.startswith(b'"') else tag


def _encoded(start: Message, size_bytes: int | None) -> Message:
    headers = [
        (name, _tagged(value) if name == b"etag" else value)
        for name, value in start["headers"]
        if name != b"content-length"
    ]
    if size_bytes is not None:
        headers.append((b"content-length", b"%d" % size_bytes))
    return {**start, "headers": [*headers, _ENCODED]}


def _deflater() -> "zlib._Compress":
    return zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP + WINDOW_BITS, MEMORY)


async def _deflated(deflater: "zlib._Compress", body: bytes) -> bytes:
    if len(body) <= IN_LOOP_BYTES_MAX:
        return deflater.compress(body)
    return await asyncio.to_thread(deflater.compress, body)


async def _refused() -> Message:
    raise Problem("unsupported_media_type", "Send the body as it is, or as gzip under Content-Encoding: gzip")


def _no_gzip() -> Problem:
    return Problem("invalid_parameter", "The body is not the gzip that its Content-Encoding says")
