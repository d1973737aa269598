"""Health for those who run the gateway: alive is the process, ready is the process and all that it needs."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.call import State
from services.api.http import request_id
from shared.postgres import acquired

CHECK_S = 2.0


async def live(request: Request[Any]) -> Response:
    return _answer(request, {"status": "live"})


async def ready(request: Request[Any]) -> Response:
    """200 when database, meter and queue answer, else 503; each part is named with its state."""
    state: State = request.scope["state"]
    checks = {"database": _database(state), "meter": state["admission"].ping(), "queue": state["pdfs"].ping()}
    results = await asyncio.gather(*(_within(check) for check in checks.values()))
    parts = dict(zip(checks, results, strict=True))
    healthy = all(result == "ok" for result in results)
    return _answer(request, {"status": "ready" if healthy else "not ready", **parts}, 200 if healthy else 503)


def _answer(request: Request[Any], body: dict[str, str], status: int = 200) -> Response:
    return JSONResponse(body, status, {"x-request-id": request_id(request.scope).decode()})


async def _within(check: Any) -> str:
    try:
        async with asyncio.timeout(CHECK_S):
            await check
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is not well, and the answer says how
        return type(error).__name__
    return "ok"


async def _database(state: State) -> None:
    async with acquired(state["pool"]) as connection:
        await connection.fetchval("select 1 from api.accounts limit 1")
