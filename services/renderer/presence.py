"""A worker's word: that it lives and holds its jobs, on how many pages, and what a document has cost of late."""

import asyncio
import contextlib
import time

from redis.exceptions import RedisError

from services.renderer.chromium import Chromium
from services.renderer.queue import QueueWorker
from shared.queue import PRESENCE_S, PRINT_S_ASSUMED, Depth, Queue

TELL_S = 1.0
# A second's documents count half after thirteen seconds, so that the cost follows what is asked for now.
KEPT = 0.95
# How many documents of the assumed cost stand against those that were printed.
ASSUMED_WEIGHT = 0.1


class Cost:
    """The mean time of a page that a document takes, the latest ones before all."""

    def __init__(self) -> None:
        self._busy_s = 0.0
        self._documents = 0.0

    def add(self, busy_s: float, documents: float) -> None:
        """What another second has brought."""
        self._busy_s = self._busy_s * KEPT + busy_s
        self._documents = self._documents * KEPT + documents

    @property
    def mean_s(self) -> float:
        assumed_s = PRINT_S_ASSUMED * ASSUMED_WEIGHT
        return (self._busy_s + assumed_s) / (self._documents + ASSUMED_WEIGHT)


class Presence:
    """Told every second for as long as a worker serves its queue; ``depth`` is what the queue answered."""

    def __init__(self, chromium: Chromium, pages: int) -> None:
        self.depth = Depth()
        self.documents = 0
        self._chromium = chromium
        self._pages = pages
        self._cost = Cost()
        self._told_at_s = float("-inf")

    @property
    def is_heard(self) -> bool:
        return time.monotonic() - self._told_at_s < PRESENCE_S

    async def keep_telling(self, queue: Queue, worker: QueueWorker) -> None:
        """Until it is cancelled, which takes the word back; Redis may come and go."""
        busy_s, documents = self._chromium.tally.busy_s, self.documents
        try:
            while True:
                self._cost.add(self._chromium.tally.busy_s - busy_s, self.documents - documents)
                busy_s, documents = self._chromium.tally.busy_s, self.documents
                with contextlib.suppress(RedisError, OSError):
                    self.depth = await self._tell(queue, worker)
                    self._told_at_s = time.monotonic()
                await asyncio.sleep(TELL_S)
        finally:
            with contextlib.suppress(RedisError, OSError):
                await queue.leave(worker.name)

    async def _tell(self, queue: Queue, worker: QueueWorker) -> Depth:
        return await queue.tell(
            worker.name,
            pages=self._pages,
            print_s=self._cost.mean_s,
            held=tuple(worker.tasks),
            locked_s=worker.locked_s,
        )
