"""Answers of any length: batches of rows, read one ahead of the reader, and sent in chunks.

Between two batches a stream holds no connection and no transaction: who reads slowly, or no more, keeps nothing but the
memory of two batches.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import msgspec

from shared.errors import Problem
from shared.tasks import stop_tasks

# At full speed, each takes what the event loop has left; these still leave the pool's larger part to other calls.
STREAMS_MAX = 6
PER_ACCOUNT_MAX = 2
FULL_RETRY_S = 10
# Who reads a million documents at 2 Mbit a second is done within an hour; until then a place is taken.
STREAM_S_MAX = 3600.0


class Batch(msgspec.Struct, frozen=True):
    """``chunks`` are made as they are taken, each in about a millisecond; ``after`` is where the next batch begins."""

    chunks: Iterable[bytes]
    after: Any


# The batch from a place that was another one's ``after``, or from the beginning; the last one has none.
Read = Callable[[Any], Awaitable[Batch]]


class Streams:
    """Those that one gateway process has open."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    async def begin(self, account_id: str, read: Read) -> Batch:
        """The first batch, which shows whether there is a stream to be had; raises rate_limited or unavailable."""
        self._require_place(account_id)
        with self._placed(account_id):
            return await read(None)

    async def chunks(self, account_id: str, first: Batch, read: Read) -> AsyncGenerator[bytes]:
        """All that there is from the first batch on; to be closed when it is not taken to the end.

        Streams take turns: however many there are, other calls wait for one chunk at a time.
        """
        with self._placed(account_id):
            async with aclosing(_batches(first, read)) as batches:
                async for batch in batches:
                    chunks = iter(batch.chunks)
                    while (chunk := await self._next(chunks)) is not None:
                        yield chunk

    async def _next(self, chunks: Iterator[bytes]) -> bytes | None:
        async with self._turn:
            await asyncio.sleep(0)
            return next(chunks, None)

    def _require_place(self, account_id: str) -> None:
        if self._open[account_id] >= PER_ACCOUNT_MAX:
            raise Problem(
                "rate_limited",
                f"{PER_ACCOUNT_MAX} streams of this account are under way; wait for one of them to end",
                {"streams": f"At most {PER_ACCOUNT_MAX} at a time"},
                retry_after_s=FULL_RETRY_S,
            )
        if self._open.total() >= STREAMS_MAX:
            raise Problem(
                "unavailable", "Too many streams are under way here; try again", retry_after_s=FULL_RETRY_S
            )

    @contextmanager
    def _placed(self, account_id: str) -> Generator[None]:
        self._open[account_id] += 1
        try:
            yield
        finally:
            self._open[account_id] -= 1
            if not self._open[account_id]:
                del self._open[account_id]


async def _batches(first: Batch, read: Read) -> AsyncGenerator[Batch]:
    """While one is taken the next is read, and no more."""
    batch = first
    while batch.after is not None:
        async with _begun(read(batch.after)) as following:
            yield batch
            batch = await following
    yield batch


@asynccontextmanager
async def _begun(work: Awaitable[Batch]) -> AsyncGenerator["asyncio.Task[Batch]"]:
    """It runs beside whatever is done meanwhile, and ends with it."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await stop_tasks([task])
        if not task.cancelled():
            task.exception()  # so that nobody misses it where nobody waits any more
