"""The lane of calls that are worked on for long: few at a time, and others have their turn between their slices."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

from services.api.places import Places
from shared.errors import Problem

# One is read while the others wait for the database.
AT_WORK = 4
# Each holds its body, what is made of it, and its answer.
PLACES = 16
PLACES_OF_ACCOUNT = 8
# Of bodies altogether, from their first byte on, whether or not the rest ever comes.
BODY_BYTES_MAX = 160 * 1024 * 1024
# Another call meets some of these on its way.
SLICE_S = 0.001

T = TypeVar("T")
R = TypeVar("R")


class Lane:
    """That of one gateway process."""

    def __init__(self) -> None:
        self._calls = Places()
        self._places = Places()
        self._bytes: Counter[str] = Counter()
        self._processor = asyncio.Lock()
        self.turn = asyncio.Semaphore(AT_WORK)

    @contextmanager
    def body(self, account_id: str) -> Generator[Callable[[int], None]]:
        """For one call, from before its body is read until it is answered: what is to be told of bytes as they come.

        That raises unavailable or rate_limited; so does this, where there is no place to be had for the call anyhow.
        """
        self._require_place(account_id)
        held_bytes = 0

        def hold(size_bytes: int) -> None:
            nonlocal held_bytes
            self._require_room(account_id, size_bytes)
            held_bytes += size_bytes
            self._bytes[account_id] += size_bytes

        with self._calls.taken(account_id):
            try:
                yield hold
            finally:
                self._bytes[account_id] -= held_bytes
                if not self._bytes[account_id]:
                    del self._bytes[account_id]

    @contextmanager
    def place(self, account_id: str) -> Generator[None]:
        """For one call, once its body is there; raises unavailable or rate_limited."""
        self._require_place(account_id)
        with self._places.taken(account_id):
            yield

    def _require_place(self, account_id: str) -> None:
        if self._places.of(account_id) >= PLACES_OF_ACCOUNT:
            raise Problem(
                "rate_limited",
                f"{PLACES_OF_ACCOUNT} bulk calls of this account are under way; wait for one of them to end",
                {"bulk_calls": f"At most {PLACES_OF_ACCOUNT} at a time"},
                retry_after_s=self._places.retry_after_s(account_id),
            )
        if len(self._places) >= PLACES:
            raise _busy(self._places.retry_after_s())

    def _require_room(self, account_id: str, size_bytes: int) -> None:
        """No account may hold more than it leaves to all others."""
        own_bytes = self._bytes[account_id] + size_bytes
        if own_bytes > BODY_BYTES_MAX - self._bytes.total() - size_bytes:
            raise _busy(self._calls.retry_after_s())

    async def in_slices(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The work on each; after every slice of it, others have their turn.

        One call at a time: of two that take turns, neither would reach the database before the other one.
        """
        results: list[R] = []
        async with self._processor:
            end_s = time.perf_counter() + SLICE_S
            for item in items:
                results.append(work(item))
                if time.perf_counter() > end_s:
                    await asyncio.sleep(0)
                    end_s = time.perf_counter() + SLICE_S
        return results


def _busy(retry_after_s: int) -> Problem:
    return Problem(
        "unavailable", "Too many bulk calls are under way here; try again", retry_after_s=retry_after_s
    )
