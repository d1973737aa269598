"""Bytes in, bytes out: bounded bodies, JSON answers, and errors as the public API words them."""

import asyncio
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.metering.limits import bad_parameter
from shared.errors import Code, Problem

BODY_BYTES_MAX = 256 * 1024
BODY_READ_S = 10.0
STATUSES: dict[Code, int] = {
    "invalid_json": 400,
    "invalid_parameter": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "validation_error": 422,
    "internal_error": 500,
    "unavailable": 503,
}
T = TypeVar("T")

log = structlog.get_logger(__name__)


async def read_json(
    request: Request[Any], kind: type[T], *, default: T | None = None, bytes_max: int = BODY_BYTES_MAX
) -> T:
    """The body as a value; an empty one is ``default``, if there is one.

    Raises payload_too_large, invalid_json, or validation_error with the first broken field in its details.
    """
    body = await _read_body(request, bytes_max)
    if default is not None and not body:
        return default
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").removeprefix(".") or "body"
        raise Problem("validation_error", f"{field}: {sentence}", {field: sentence}) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("invalid_json", f"The body is not valid JSON: {error}") from None


def read_query(request: Request[Any], allowed: frozenset[str]) -> dict[str, str]:
    """The query's parameters, each known and given once; raises invalid_parameter."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise bad_parameter(name[:100], f"Unknown parameter; known are: {', '.join(sorted(allowed))}")
        if name in found:
            raise bad_parameter(name, "Must be given once")
        found[name] = value
    return found


async def _read_body(request: Request[Any], bytes_max: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise Problem("payload_too_large", f"The body is larger than {bytes_max:,} bytes")
    except TimeoutError:
        raise Problem("invalid_json", f"The body did not arrive within {BODY_READ_S:.0f} seconds") from None
    return bytes(body)


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def problem_answer(problem: Problem) -> Response:
    body: dict[str, object] = {"error": problem.code, "message": problem.message}
    if problem.details:
        body["details"] = problem.details
    headers = {"WWW-Authenticate": "Bearer"} if problem.code == "unauthorized" else {}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.allow is not None:
        headers["Allow"] = problem.allow
    return json_answer(body, STATUSES.get(problem.code, 500), headers)


async def answer_problem(_: Request[Any], error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for Problem alone
    return problem_answer(error)


async def answer_http_error(_: Request[Any], error: Exception) -> Response:
    """Starlette's own refusals: no such path, or the wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for HTTPException alone
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow")
        return problem_answer(Problem("method_not_allowed", "This path has no such method", allow=allow))
    return problem_answer(Problem("not_found", "There is nothing at this path"))


async def answer_outage(_: Request[Any], error: Exception) -> Response:
    """A store is away; the caller tries again."""
    log.warning("a store is away", error=f"{type(error).__name__}: {error}")
    sentence = f"A store of the metering service is away ({type(error).__name__}); try again"
    return problem_answer(Problem("unavailable", sentence, retry_after_s=1))


async def answer_defect(_request: Request[Any], _error: Exception) -> Response:
    return problem_answer(Problem("internal_error", "The metering service failed; its log holds the cause"))
