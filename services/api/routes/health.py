"""Health for those who run the gateway: alive is the process, ready is the process and all that it needs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from services.api.call import State
from services.api.http import Answer, json_answer, request_id, send_answer
from services.api.problems import problem_answer
from shared.errors import Problem
from shared.postgres import acquired

CHECK_S = 2.0
ALLOWED = ("GET", "HEAD")


class Check:
    """The ASGI application of a path that needs no key: what ``look`` finds."""

    def __init__(self, look: Callable[[State], Awaitable[Answer]]) -> None:
        self._look = look

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        allow = ", ".join(ALLOWED)
        if scope["method"] in ALLOWED:
            answer = await self._look(scope["state"])
        else:
            answer = problem_answer(
                Problem("method_not_allowed", f"This path answers to: {allow}", allow=allow)
            )
        await send_answer(
            answer, [(b"x-request-id", request_id(scope))], send, head=scope["method"] == "HEAD"
        )


async def live(_state: State) -> Answer:
    return json_answer({"status": "live"})


async def ready(state: State) -> Answer:
    """200 when database, meter and queue answer, else 503; each part is named with its state."""
    checks = {"database": _database(state), "meter": state["admission"].ping(), "queue": state["pdfs"].ping()}
    results = await asyncio.gather(*(_within(check) for check in checks.values()))
    parts = dict(zip(checks, results, strict=True))
    healthy = all(result == "ok" for result in results)
    return json_answer({"status": "ready" if healthy else "not ready", **parts}, 200 if healthy else 503)


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


CHECKS = {"/health/live": Check(live), "/health/ready": Check(ready)}
