"""The lane of calls that are worked on for long: few at a time, and others have their turn between their slices."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

from shared.errors import Problem

# One is read while the others wait for the database.
AT_WORK = 4
# Each holds its whole body.
PLACES = 16
PLACES_OF_ACCOUNT = 8
# Another call meets some of these on its way.
SLICE_S = 0.002

T = TypeVar("T")
R = TypeVar("R")


class Lane:
    """That of one gateway process."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._processor = asyncio.Lock()
        self.turn = asyncio.Semaphore(AT_WORK)

    @contextmanager
    def place(self, account_id: str) -> Generator[None]:
        """For one call, from before its body is read until it is answered; raises unavailable or rate_limited."""
        self._require_place(account_id)
        self._held[account_id] += 1
        try:
            yield
        finally:
            self._held[account_id] -= 1
            if not self._held[account_id]:
                del self._held[account_id]

    def _require_place(self, account_id: str) -> None:
        if self._held[account_id] >= PLACES_OF_ACCOUNT:
            raise Problem(
                "rate_limited",
                f"{PLACES_OF_ACCOUNT} bulk calls of this account are under way; wait for one of them to end",
                {"bulk_calls": f"At most {PLACES_OF_ACCOUNT} at a time"},
                retry_after_s=1,
            )
        if self._held.total() >= PLACES:
            raise Problem("unavailable", "Too many bulk calls are under way here; try again", retry_after_s=1)

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
