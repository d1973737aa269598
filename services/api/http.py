"""Bytes in, bytes out: reading a bounded request and writing an answer; no business word."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Message, Receive, Scope, Send

from services.api.compression import VARIES, varies
from shared.errors import Problem

BODY_BYTES_MAX = 1024 * 1024
# So long a body may take, and a second more for each 256 kB that have come of it.
BODY_READ_S = 10.0
BODY_BYTES_PER_S = 256 * 1024
# The ASGI extension by which the server says that nothing of the body has to be waited for.
BODY_IS_HERE = "invouno.body_is_here"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.ASCII)

_PROCESS = secrets.token_hex(10).encode()
_REQUESTS = count(1)

Headers = list[tuple[bytes, bytes]]
JSON = ((b"content-type", b"application/json"),)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back: ``body`` whole, or ahead of a ``stream``, its length among the headers where that is known.

    ``stream_s_max`` is how long a stream may take altogether.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    stream: AsyncIterator[bytes] | None = None
    stream_s_max: float | None = None


def _number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        # An exponent beyond what Decimal can hold: every rule refuses infinity by its bound.
        return Decimal("-Infinity" if digits.startswith("-") else "Infinity")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_decoder = msgspec.json.Decoder(float_hook=_number)
encode_json = msgspec.json.Encoder(decimal_format="number").encode


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status=status, body=encode_json(value), headers=JSON)


def decode_json(body: bytes) -> Any:
    """The body's JSON value with exact numbers; raises invalid_json."""
    if not body.strip():
        raise Problem("invalid_json", "The body is empty; send a JSON object")
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        # An integer of thousands of digits: read it slowly, so that its field is named.
        return _decode_slowly(body)
    except RecursionError:
        raise Problem("invalid_json", "The body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("invalid_json", f"The body is not valid JSON: {error}") from None


def _decode_slowly(body: bytes) -> Any:
    try:
        return json.loads(body, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant)
    except RecursionError:
        raise Problem("invalid_json", "The body is nested too deeply") from None
    except ValueError as error:
        raise Problem("invalid_json", f"The body is not valid JSON: {error}") from None


def header(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def request_id(scope: Scope) -> bytes:
    """The caller's own X-Request-Id, if it is one that can stand in a log and a header, else a new one."""
    given = header(scope, b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else new_request_id()


def new_request_id() -> bytes:
    """Unique and not secret: random for the process, and counted within it."""
    return b"%s%012x" % (_PROCESS, next(_REQUESTS))


def query_parameters(scope: Scope, allowed: frozenset[str]) -> dict[str, str]:
    """The query's parameters, each known and given once; raises invalid_parameter."""
    text = scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise Problem("invalid_parameter", "The query string is malformed") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            raise bad_parameter(name[:100], f"Unknown parameter; known are: {', '.join(sorted(allowed))}")
        if name in found:
            raise bad_parameter(name, "Must be given once")
        found[name] = value
    return found


def bad_parameter(name: str, sentence: str) -> Problem:
    return Problem("invalid_parameter", f"The parameter {name} is not valid: {sentence}", {name: sentence})


async def read_body(
    scope: Scope, receive: Receive, media_types: tuple[str, ...] = (), *, bytes_max: int = BODY_BYTES_MAX
) -> bytes:
    """The whole body, bounded in bytes and time, of one of the media types (none named: JSON).

    Raises payload_too_large, unsupported_media_type or invalid_json.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > bytes_max:
        raise _too_large(bytes_max)
    collect = _collect if BODY_IS_HERE in scope.get("extensions", ()) else _collect_in_time
    body = await collect(receive, bytes_max)
    if media_types:
        _require_one_of(media_types, media_type(scope))
    elif body:
        _require_json(header(scope, b"content-type"))
    return body


def media_type(scope: Scope) -> str:
    """The body's media type without its parameters, in small letters; empty when none is given."""
    given = header(scope, b"content-type") or b""
    return given.decode("latin-1").partition(";")[0].strip().lower()


async def _collect(receive: Receive, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > bytes_max:
            raise _too_large(bytes_max)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _collect_in_time(receive: Receive, bytes_max: int) -> bytes:
    """Within a time that grows with what has come."""
    try:
        async with asyncio.timeout(BODY_READ_S) as limit:

            async def receive_timed() -> Message:
                message = await receive()
                limit.reschedule((limit.when() or 0.0) + len(message.get("body", b"")) / BODY_BYTES_PER_S)
                return message

            return await _collect(receive_timed, bytes_max)
    except TimeoutError:
        sentence = (
            f"The body came too slowly: send it within {BODY_READ_S:.0f} seconds and one more for each 256 kB"
        )
        raise Problem("invalid_json", sentence) from None


class ClientDisconnectedError(Exception):
    """The caller left before its request or its answer was whole: there is nobody to answer."""


def _too_large(bytes_max: int) -> Problem:
    return Problem("payload_too_large", f"The body is larger than {bytes_max:,} bytes")


def _require_json(content_type: bytes | None) -> None:
    if content_type is None or content_type == b"application/json":
        return
    kind, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if _JSON_TYPE.fullmatch(kind.strip()) and charset in {"", "charset=utf-8", "charset=utf8"}:
        return
    raise Problem("unsupported_media_type", "Send the body as application/json in UTF-8")


def _require_one_of(media_types: tuple[str, ...], given: str) -> None:
    if given not in media_types:
        *first, last = media_types
        raise Problem("unsupported_media_type", f"Send the body as {', '.join(first)} or {last}")


def is_known(scope: Scope, tag: str) -> bool:
    """Whether the caller holds what bears this entity tag, by its If-None-Match."""
    given = header(scope, b"if-none-match")
    if given is None:
        return False
    tags = {each.strip().removeprefix("W/") for each in given.decode("latin-1").split(",")}
    return "*" in tags or f'"{tag}"' in tags


async def send_answer(answer: Answer, extra: Headers, send: Send, *, head: bool = False) -> None:
    """Write the answer; ``head`` leaves out a stream, and any body is the server's to drop.

    A stream ends early when nobody hears it any more. Raises TimeoutError for one that takes too long.
    """
    headers: Headers = [*answer.headers, *extra]
    size_bytes = None if answer.stream else len(answer.body)
    if varies(answer.status, answer.headers, size_bytes):
        headers.append(VARIES)
    if size_bytes is not None and answer.status != HTTPStatus.NOT_MODIFIED:
        headers.append((b"content-length", b"%d" % size_bytes))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None and not head:
        try:
            async with asyncio.timeout(answer.stream_s_max):
                await _send_stream(answer.body, answer.stream, send)
        except ClientDisconnectedError:
            return
    await send({"type": "http.response.body", "body": answer.body if answer.stream is None else b""})


async def begun(answer: Answer) -> Answer:
    """The answer of a stream, its first chunk at hand: what fails before it is told as any other failure is."""
    async with asyncio.timeout(answer.stream_s_max):
        first = b"" if answer.stream is None else await anext(answer.stream, b"")
    return msgspec.structs.replace(answer, body=first)


async def _send_stream(first: bytes, stream: AsyncIterator[bytes], send: Send) -> None:
    """Until its end, or until nobody hears it any more; it is closed in either case."""
    try:
        if first:
            await send({"type": "http.response.body", "body": first, "more_body": True})
        async for chunk in stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
