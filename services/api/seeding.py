"""Asking metering to seed accounts: those that come while it is asked are asked for together, next."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

SEEDS_MAX = 500  # of one call

Wanted = Mapping[str, int | None]
"""Account ids, each with its generation where it has just been read."""


class Seeding:
    def __init__(self, ask: Callable[[Wanted], Awaitable[None]]) -> None:
        self._ask = ask
        self._waiting: dict[str, int | None] = {}
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    async def seed(self, account_id: str, generation: int | None = None) -> None:
        """Return when the account has its counters; raises what asking raises."""
        known = (value for value in (generation, self._waiting.get(account_id)) if value is not None)
        self._waiting[account_id] = max(known, default=None)
        if self._next is None:
            self._next = asyncio.create_task(self._ask_for_all())
        await asyncio.shield(self._next)

    async def _ask_for_all(self) -> None:
        async with self._turn:
            self._next = None
            wanted, self._waiting = self._waiting, {}
            left = iter(wanted.items())
            while batch := dict(islice(left, SEEDS_MAX)):
                await self._ask(batch)
