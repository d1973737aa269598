"""arq's worker without its polling: woken for each job, it takes the next one the moment that a slot is free.

What runs a job, counts its tries, ends it and stops at a signal is arq's own.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.utils import timestamp_ms
from arq.worker import Function, Worker

from shared.queue import Queue, Taken, decode_job, encode_job

# Jobs whose wake was lost, that were put off, or that a killed worker held, are found by looking this often.
LOOK_AGAIN_S = 1.0
# Never reached: arq would fail such a job without a word to who waits for it. The functions count the tries.
ARQ_TRIES_MAX = 1000
# What a function leaves in its context to be published, as channel and message, once its job is off the queue.
OUTCOME = "outcome"


class QueueWorker(Worker):
    """Serves one queue with ``slots`` jobs at a time; it ends when Redis is lost."""

    def __init__(
        self,
        redis: ArqRedis,
        queue: Queue,
        functions: Sequence[Function],
        *,
        slots: int,
        timeout_s: int,
        context: dict[str, Any],
        taken: Callable[[Taken], None],
    ) -> None:
        super().__init__(
            functions=functions,
            queue_name=queue.name,
            redis_pool=redis,
            ctx=context,
            on_job_end=self._note,
            handle_signals=False,
            job_completion_wait=timeout_s,
            max_jobs=slots,
            job_timeout=timeout_s,
            keep_result=0,
            poll_delay=0,
            max_tries=ARQ_TRIES_MAX,
            job_serializer=encode_job,
            job_deserializer=partial(_decoded, otherwise=functions[0].name),
        )
        self._queue = queue
        self._taken = taken
        self._stir = asyncio.Event()
        self._ear: asyncio.Task[bool] | None = None
        self._broken: BaseException | None = None
        self._outcomes: dict[str, tuple[str, bytes]] = {}

    @property
    def free(self) -> int:
        return self.max_jobs - len(self.tasks) if self.allow_pick_jobs else 0

    async def _poll_iteration(self) -> None:
        """Fill the free slots, then sleep until one is free again or, while one is, until a job comes."""
        self._raise_cancelled()
        self._stir.clear()
        if self.free:
            await self._fill()
        if self.free and self._ear is None:
            self._ear = asyncio.create_task(self._queue.wait(LOOK_AGAIN_S))
            self._ear.add_done_callback(self._heard)
        await self._stir.wait()
        if self._broken is not None:
            raise self._broken

    async def _fill(self) -> None:
        for taken in await self._queue.take(self.free, locked_s=self.in_progress_timeout_s):
            self._taken(taken)
            task = asyncio.create_task(self.run_job(taken.job_id, timestamp_ms()))
            self.tasks[taken.job_id] = task
            task.add_done_callback(lambda done, job_id=taken.job_id: self._ended(job_id, done))

    def _ended(self, job_id: str, task: "asyncio.Task[None]") -> None:
        self.tasks.pop(job_id, None)
        self._outcomes.pop(job_id, None)
        self._fail_by(task)
        self._stir.set()

    def _heard(self, task: "asyncio.Task[bool]") -> None:
        self._ear = None
        self._fail_by(task)
        if not task.cancelled() and task.exception() is None and task.result() and not self.free:
            passing = asyncio.create_task(self._queue.pass_on())
            passing.add_done_callback(self._fail_by)
        self._stir.set()

    def _fail_by(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
            self._stir.set()

    def _raise_cancelled(self) -> None:
        """A cancellation that came amid a command may have been lost in the client of Redis."""
        if (task := self.main_task) is not None and task.cancelling():
            raise asyncio.CancelledError

    async def _note(self, ctx: dict[str, Any]) -> None:
        if OUTCOME in ctx:
            self._outcomes[ctx["job_id"]] = ctx[OUTCOME]

    async def finish_job(self, job_id: str, finish: bool, *rest: Any, **options: Any) -> None:  # noqa: FBT001 - arq's own
        """Off the queue and published at once, so that whoever asks from then on makes a new job.

        A job that was cancelled has no outcome: it is taken up again.
        """
        if not finish or job_id not in self._outcomes:
            return await super().finish_job(job_id, finish, *rest, **options)
        channel, message = self._outcomes[job_id]
        async with self.pool.pipeline(transaction=True) as pipe:
            pipe.delete(
                f"{in_progress_key_prefix}{job_id}",
                f"{retry_key_prefix}{job_id}",
                f"{job_key_prefix}{job_id}",
            )
            pipe.zrem(self.queue_name, job_id)
            pipe.publish(channel, message)
            await pipe.execute()
        return None

    async def close(self) -> None:
        if (ear := self._ear) is not None:
            ear.cancel()
            await asyncio.wait((ear,))
        await super().close()


def _decoded(data: bytes, *, otherwise: str) -> dict[str, Any]:
    """A job that cannot be read becomes a call without arguments, so that it too is reported."""
    try:
        return decode_job(data)
    except msgspec.MsgspecError:
        return {"t": 1, "f": otherwise, "a": (), "k": {}, "et": 0}
