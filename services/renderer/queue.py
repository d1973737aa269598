"""arq's worker without its polling: woken for each job, it takes the next one the moment that a slot is free.

The jobs, their keys and how it stops at a signal are arq's own; tries are counted, and what they end is told, by the
functions.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import structlog
from arq.connections import ArqRedis
from arq.jobs import SerializationError, deserialize_job_raw
from arq.worker import Function, Retry, Worker

from shared.queue import Ended, Queue, Taken, decode_job

# Jobs whose wake was lost, that were put off, or that a killed worker held, are found by looking this often.
LOOK_AGAIN_S = 1.0
# What a function leaves in its context to be published, as channel and message, once its job is off the queue.
OUTCOME = "outcome"

log = structlog.get_logger()


class QueueWorker(Worker):
    """Serves one queue with ``slots`` jobs at a time; it ends when Redis is lost.

    ``taken`` hears of each job that is begun, ``ended`` of the seconds that one has taken.
    """

    def __init__(
        self,
        redis: ArqRedis,
        queue: Queue,
        functions: Sequence[Function],
        *,
        slots: int,
        timeout_s: int,
        context: dict[str, Any],
        taken: Callable[[Taken], None] = lambda _: None,
        ended: Callable[[float], None] = lambda _: None,
        locked_s: float | None = None,
    ) -> None:
        super().__init__(
            functions=functions,
            queue_name=queue.name,
            redis_pool=redis,
            ctx=context,
            handle_signals=False,
            job_completion_wait=timeout_s,
            max_jobs=slots,
            job_timeout=timeout_s,
            keep_result=0,
            poll_delay=0,
        )
        if locked_s is not None:
            self.in_progress_timeout_s = locked_s
        self._queue = queue
        self._taken = taken
        self._told_ended = ended
        self._stir = asyncio.Event()
        self._ear: asyncio.Task[bool] | None = None
        self._broken: BaseException | None = None

    @property
    def free(self) -> int:
        return self.max_jobs - len(self.tasks) if self.allow_pick_jobs else 0

    async def _poll_iteration(self) -> None:
        """Fill the free slots, then sleep until one is free again or, while one is, until a job comes."""
        self._raise_cancelled()
        self._stir.clear()
        if self.free > 0:
            await self._fill()
        if self.free > 0 and self._ear is None:
            self._ear = asyncio.create_task(self._queue.wait(LOOK_AGAIN_S))
            self._ear.add_done_callback(self._heard)
        await self._stir.wait()
        if self._broken is not None:
            raise self._broken

    async def _fill(self) -> None:
        self._start(await self._queue.turn(self.free, locked_s=self.in_progress_timeout_s))

    def _start(self, taken: Sequence[Taken]) -> None:
        for one in taken:
            self._taken(one)
            task = asyncio.create_task(self._run(one))
            self.tasks[one.job_id] = task
            task.add_done_callback(lambda done, job_id=one.job_id: self._ended(job_id, done))

    async def _run(self, taken: Taken) -> None:
        """Do the job, and in one breath end it and take the next."""
        ctx = {**self.ctx, "job_id": taken.job_id, "job_try": taken.tries}
        began_s = time.monotonic()
        try:
            await self._call(taken.job, ctx)
        except asyncio.CancelledError:
            await asyncio.shield(self._queue.put_back(taken.job_id))
            return
        except Retry as later:
            await self._queue.put_back(taken.job_id, after_s=(later.defer_score or 0) / 1000)
            return
        except Exception:
            log.exception("job broke", queue=self.queue_name, job=taken.job_id)
        self.jobs_complete += 1
        self._told_ended(time.monotonic() - began_s)
        ended = Ended(taken.job_id, *ctx.get(OUTCOME, ()))
        wanted = 1 if self.allow_pick_jobs else 0
        turn = self._queue.turn(wanted, locked_s=self.in_progress_timeout_s, ended=ended)
        self._start(await asyncio.shield(turn))

    async def _call(self, job: bytes, ctx: dict[str, Any]) -> None:
        """A job that cannot be read becomes a call of the first function without arguments, which reports it."""
        try:
            name, arguments, keywords, *_ = deserialize_job_raw(job, deserializer=decode_job)
        except SerializationError:
            name, arguments, keywords = next(iter(self.functions)), (), {}
        function = cast("Function", self.functions[name])
        async with asyncio.timeout(function.timeout_s or self.job_timeout_s):
            await function.coroutine(ctx, *arguments, **keywords)

    def _ended(self, job_id: str, task: "asyncio.Task[None]") -> None:
        if self.tasks.get(job_id) is task:
            del self.tasks[job_id]
        self._fail_by(task)
        self._stir.set()

    def _heard(self, task: "asyncio.Task[bool]") -> None:
        self._ear = None
        self._fail_by(task)
        if not task.cancelled() and task.exception() is None and task.result() and self.free <= 0:
            passing = asyncio.create_task(self._queue.pass_on())
            passing.add_done_callback(self._fail_by)
        self._stir.set()

    def _fail_by(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
            self.allow_pick_jobs = False
            self._stir.set()

    def _raise_cancelled(self) -> None:
        """A cancellation that came amid a command may have been lost in the client of Redis."""
        if (task := self.main_task) is not None and task.cancelling():
            raise asyncio.CancelledError

    async def close(self) -> None:
        """End what is still under way, which is there for all again; the connections are the caller's."""
        ending = [*self.tasks.values(), *([self._ear] if self._ear else [])]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
