"""Deadlines that stand still while a page is waited for, so that a job pays for its own work and for no neighbour's."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

_running: ContextVar[tuple[asyncio.Timeout, ...]] = ContextVar("running", default=())


@asynccontextmanager
async def deadline(seconds: float) -> AsyncGenerator[None]:
    """Like asyncio.timeout, but for ``standing_still``; raises TimeoutError."""
    async with asyncio.timeout(seconds) as timeout:
        token = _running.set((*_running.get(), timeout))
        try:
            yield
        finally:
            _running.reset(token)


@contextmanager
def standing_still() -> Generator[None]:
    """No deadline of the caller's task runs while this lasts."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    running = [(timeout, when) for timeout in _running.get() if (when := timeout.when()) is not None]
    _reschedule((timeout, None) for timeout, _ in running)
    try:
        yield
    finally:
        waited_s = clock() - began_s
        _reschedule((timeout, when + waited_s) for timeout, when in running)


def _reschedule(times: Iterable[tuple[asyncio.Timeout, float | None]]) -> None:
    for timeout, when in times:
        if not timeout.expired():
            timeout.reschedule(when)
