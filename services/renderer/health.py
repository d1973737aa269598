"""A worker's own small server: whether it is well, for whoever restarts it, and its metrics."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.renderer.chromium import Chromium
from services.renderer.metrics import Metrics
from services.renderer.presence import Presence

ASKED_ANEW_S = 2.0
# One look may meet a browser that is just being replaced.
FAILURES_MAX = 2


@dataclass(slots=True)
class Wellness:
    """Whether one queue's browsers answer, looked at every two seconds at most, and whether its Redis does."""

    chromium: Chromium
    presence: Presence
    failures: int = 0
    looked_at_s: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def parts(self) -> dict[str, str]:
        async with self.lock:
            if time.monotonic() - self.looked_at_s > ASKED_ANEW_S:
                self.failures = 0 if await self.chromium.answers() else self.failures + 1
                self.looked_at_s = time.monotonic()
        return {
            "browsers": self._browsers(),
            "queue": "ok" if self.presence.is_heard else "away",
        }

    def _browsers(self) -> str:
        if self.chromium.launcher.fails:
            return "do not start"
        return "ok" if self.failures < FAILURES_MAX else "do not answer"


def create_app(wellness: dict[str, Wellness], metrics: Metrics) -> Starlette:
    async def health(_: Request) -> Response:
        parts = {queue: await one.parts() for queue, one in wellness.items()}
        well = all(state == "ok" for states in parts.values() for state in states.values())
        return JSONResponse({"status": "well" if well else "not well", **parts}, 200 if well else 503)

    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Starlette(routes=[Route("/health", health), Route("/metrics", exposition)])


class _Server(uvicorn.Server):
    """Signals are the worker's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Starlette, host: str, port: int) -> AsyncGenerator[None]:
    """On its port until the end; on none at all for 0."""
    if port == 0:
        yield
        return
    server = _Server(
        uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, lifespan="off", ws="none"
        )
    )
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
