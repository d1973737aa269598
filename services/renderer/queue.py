"""arq's worker without its polling: woken for each job, it takes the next one the moment that a slot is free.

The jobs, their keys and how it stops at a signal are arq's own; what a job's end is told as, its function says.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import structlog
from arq.connections import ArqRedis
from arq.jobs import SerializationError, deserialize_job_raw
from arq.worker import Function, Retry, Worker

from services.renderer.deadline import deadline
from shared.queue import NOTHING, RENDER_RETAKEN_AFTER_S, Ended, Queue, Taken, decode_job

# Jobs whose wake was lost, that were put off, or that a killed worker held, are found by looking this often.
LOOK_AGAIN_S = 1.0
# Between two looks whether a worker that could not work can do so again.
PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 30.0
# What a function leaves in its context to be published, as channel and message, once its job is off the queue.
OUTCOME = "outcome"

log = structlog.get_logger()


async def _able() -> bool:
    return True


class QueueWorker(Worker):
    """Serves one queue with ``slots`` jobs at a time; it ends when Redis is lost.

    A function that raises arq's Retry cannot work now: its job is there for all again, and no other is taken before
    ``is_able`` says so. ``taken`` hears of each job that is begun, ``ended`` of the seconds that one has taken. What is
    under way at a signal has ``finish_s``. That a job has had its tries is known for ``verdict_s``.
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
        finish_s: int | None = None,
        verdict_s: int = 0,
        taken: Callable[[Taken], None] = lambda _: None,
        ended: Callable[[float], None] = lambda _: None,
        is_able: Callable[[], Awaitable[bool]] = _able,
        locked_s: float = RENDER_RETAKEN_AFTER_S,
    ) -> None:
        super().__init__(
            functions=functions,
            queue_name=queue.name,
            redis_pool=redis,
            ctx=context,
            handle_signals=False,
            job_completion_wait=finish_s or timeout_s,
            max_jobs=slots,
            job_timeout=timeout_s,
            keep_result=0,
            poll_delay=0,
        )
        self.name = secrets.token_hex(8)
        self.locked_s = locked_s
        self._queue = queue
        self._verdict_s = verdict_s
        self._taken = taken
        self._told_ended = ended
        self._is_able = is_able
        self._stir = asyncio.Event()
        self._ear: asyncio.Task[bool] | None = None
        self._pause: asyncio.Task[None] | None = None
        self._filling = False
        self._alone = False
        self._broken: BaseException | None = None

    @property
    def free(self) -> int:
        """Jobs that may be taken beside those that there are."""
        if self._pause is not None or not self.allow_pick_jobs or (self._alone and self.tasks):
            return 0
        return self.max_jobs - len(self.tasks)

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
        self._filling = True
        try:
            await self._turn(self.free, idle=not self.tasks)
        finally:
            self._filling = False

    async def _turn(self, wanted: int, *, idle: bool, ended: Ended = NOTHING) -> None:
        """What comes to an idle worker may have to be alone, so nothing else is taken until that is known."""
        self._alone |= idle
        turn = await self._queue.turn(self.name, wanted, idle=idle, locked_s=self.locked_s, ended=ended)
        self._alone = turn.alone or (self._alone and not idle)
        for one in turn.jobs:
            self._start(one)

    def _start(self, taken: Taken) -> None:
        if taken.job_id in self.tasks:  # Its lock ran out while this machine stood still.
            return
        self._taken(taken)
        task = asyncio.create_task(self._run(taken))
        self.tasks[taken.job_id] = task
        task.add_done_callback(lambda done: self._ended(taken.job_id, done))

    async def _run(self, taken: Taken) -> None:
        """Do the job, and in one breath end it and take the next."""
        ctx = {**self.ctx, "job_id": taken.job_id, "job_try": taken.tries}
        began_s = time.monotonic()
        try:
            await self._call(taken.job, ctx)
        except asyncio.CancelledError:
            await asyncio.shield(self._queue.put_back(self.name, taken.job_id))
            return
        except Retry:
            self._rest()
            await self._queue.put_back(self.name, taken.job_id)
            return
        except Exception:
            log.exception("job broke", queue=self.queue_name, job=taken.job_id)
        self.jobs_complete += 1
        self._told_ended(time.monotonic() - began_s)
        ended = Ended(
            taken.job_id, *ctx.get(OUTCOME, ()), verdict_s=self._verdict_s if taken.is_given_up else 0
        )
        await asyncio.shield(self._next(ended))

    async def _next(self, ended: Ended) -> None:
        """The one who ends a job takes its place over."""
        idle = len(self.tasks) == 1 and not self._filling
        closed = self._pause is not None or not self.allow_pick_jobs or (self._alone and not idle)
        await self._turn(0 if closed else 1, idle=idle, ended=ended)

    async def _call(self, job: bytes, ctx: dict[str, Any]) -> None:
        """A job that cannot be read becomes a call of the first function without arguments, which reports it."""
        try:
            name, arguments, keywords, *_ = deserialize_job_raw(job, deserializer=decode_job)
        except SerializationError:
            name, arguments, keywords = next(iter(self.functions)), (), {}
        function = cast("Function", self.functions[name])
        async with deadline(function.timeout_s or self.job_timeout_s):
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

    def _rest(self) -> None:
        if self._pause is None:
            self._pause = asyncio.create_task(self._until_able())
            self._pause.add_done_callback(self._rested)

    async def _until_able(self) -> None:
        pause_s = PAUSE_S_MIN
        await asyncio.sleep(pause_s)
        while not await self._is_able():
            pause_s = min(pause_s * 2, PAUSE_S_MAX)
            log.warning("worker rests", queue=self.queue_name, pause_s=pause_s)
            await asyncio.sleep(pause_s)

    def _rested(self, task: "asyncio.Task[None]") -> None:
        self._pause = None
        self._fail_by(task)
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
        ending = [*self.tasks.values(), *(task for task in (self._ear, self._pause) if task)]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
