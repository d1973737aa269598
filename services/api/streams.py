"""Answers of any length: batches of rows, read one ahead of the reader, and sent in chunks.

Between two batches a stream holds no connection and no transaction: who reads slowly, or no more, keeps nothing but the
memory of two batches.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from services.api.places import Places
from shared.errors import Problem
from shared.tasks import stop_tasks

# Who reads a million documents at 2 Mbit a second is done within an hour; until then a place is taken.
STREAM_S_MAX = 3600.0


class Batch(msgspec.Struct, frozen=True):
    """``chunks`` are made as they are taken, each in about a millisecond; ``after`` is where the next batch begins."""

    chunks: Iterable[bytes]
    after: Any


# The batch from a place that was another one's ``after``, or from the beginning; the last one has none.
Read = Callable[[Any], Awaitable[Batch]]


class Streams:
    """Those that one gateway process has open, so many in all and of one account."""

    def __init__(self, *, most: int, of_account: int) -> None:
        self._most = most
        self._of_account = of_account
        self._places = Places()
        self._turn = asyncio.Lock()

    async def begin(self, account_id: str, read: Read) -> Batch:
        """The first batch, which shows whether there is a stream to be had; raises rate_limited or unavailable."""
        self._require_place(account_id)
        with self._places.taken(account_id, is_typical=False):
            return await read(None)

    async def chunks(self, account_id: str, first: Batch, read: Read) -> AsyncGenerator[bytes]:
        """All that there is from the first batch on; to be closed when it is not taken to the end.

        Streams take turns: however many there are, other calls wait for one chunk at a time.
        """
        with self._places.taken(account_id):
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
        """An account's first may be any, its further ones only among the first half, so that others have theirs."""
        own, most = self._places.of(account_id), self._of_account
        if own >= most:
            raise Problem(
                "rate_limited",
                f"{most} streams of this account are under way; wait for one of them to end",
                {"streams": f"At most {most} at a time"},
                retry_after_s=self._places.retry_after_s(account_id),
            )
        if len(self._places) >= (self._most // 2 if own else self._most):
            raise Problem(
                "unavailable",
                "Too many streams are under way here; try again",
                retry_after_s=self._places.retry_after_s(),
            )


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
