"""The render queue's two ends in arq's own keys and msgpack, never pickle: what is asked, taken and waited for.

Each end asks Redis once: a script decides there, by Redis's clock, so that no race and no two clocks can differ.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from redis.asyncio import ConnectionPool

from shared.messages import RENDER_QUEUE
from shared.queue_scripts import ENQUEUE, PUT_BACK, TELL, TURN
from shared.redis import CONNECT_TIMEOUT_S

# Of a worker's time with a page, or without one: what it waits for a page is the neighbours' time.
RENDER_TIMEOUT_S = 50
# Tries alone: of those who die in company, nobody can say which was at fault.
RENDER_TRIES_MAX = 2
# A worker that has not been heard of for so long is taken for gone.
PRESENCE_S = 5.0
# A worker's jobs are there for others so long after its last word, which comes each second: later than PRESENCE_S, for
# a machine that stands still for a moment, and three times within a caller's patience.
RENDER_RETAKEN_AFTER_S = 10
# What a document is taken to cost a page until somebody has told: a short one's time.
PRINT_S_ASSUMED = 0.05
_WAKES_MAX = 100
_WAKES_KEPT_S = 60
_TAKEN_KEPT_S = 24 * 3600


class Taken(msgspec.Struct, frozen=True):
    """A job, locked to who took it.

    ``tries`` is 0, or how often it was tried alone after a worker had died with it, this time among them.
    """

    job_id: str
    waited_s: float
    tries: int
    job: bytes

    @property
    def is_given_up(self) -> bool:
        return self.tries > RENDER_TRIES_MAX


class Turn(msgspec.Struct, frozen=True):
    """What a worker has got; when ``alone``, it must take nothing more before all that it has is ended."""

    jobs: list[Taken]
    alone: bool = False


class Ended(msgspec.Struct, frozen=True):
    """A job that is done with, and what is told of it on which channel; its tries are known for ``verdict_s`` more."""

    job_id: str = ""
    channel: str = ""
    message: bytes = b""
    verdict_s: int = 0


NOTHING = Ended()


class Depth(msgspec.Struct, frozen=True):
    """What is on a queue: jobs, and how long the first of them has been there."""

    jobs: int = 0
    oldest_s: float = 0.0


class Queue:
    """One arq queue by its name, on the given Redis."""

    def __init__(self, redis: ArqRedis, name: str = RENDER_QUEUE) -> None:
        self.name = name
        self._redis: Any = redis
        self._wakes = f"{name}:wakes"
        self._workers = f"{name}:workers"
        self._enqueue: Any = redis.register_script(ENQUEUE)
        self._turn: Any = redis.register_script(TURN)
        self._put_back: Any = redis.register_script(PUT_BACK)
        self._tell: Any = redis.register_script(TELL)

    async def enqueue(
        self,
        function: str,
        arguments: Sequence[Any],
        *,
        job_id: str,
        expires_s: float,
        wait_s_max: float = math.inf,
    ) -> float:
        """0 when the job is on the queue, newly or already; else the seconds until it would wait ``wait_s_max``.

        The wait is judged by what the live workers tell; while there are none, by one page's assumed rate.
        """
        job = serialize_job(function, tuple(arguments), {}, None, timestamp_ms(), serializer=encode_job)
        wait_ms_max = "1e15" if math.isinf(wait_s_max) else str(int(wait_s_max * 1000))
        keys = [self.name, f"{job_key_prefix}{job_id}", self._wakes, self._workers]
        assumed = (PRINT_S_ASSUMED * 1000, _WAKES_MAX, _WAKES_KEPT_S)
        told = await self._enqueue(keys, [job_id, job, int(expires_s * 1000), wait_ms_max, *assumed])
        return max(0, told) / 1000

    async def turn(
        self, worker: str, count: int, *, idle: bool, locked_s: float, ended: Ended = NOTHING
    ) -> Turn:
        """At most ``count`` jobs that nobody has, the first first, for a worker that is ``idle`` when it has no other.

        They are its own for ``locked_s``. Before that, ``ended`` leaves the queue and is told at once, so that whoever
        asks from then on makes a new job.
        """
        prefixes = (in_progress_key_prefix, job_key_prefix, retry_key_prefix)
        given = (worker, count, int(idle), int(locked_s * 1000), _TAKEN_KEPT_S, RENDER_TRIES_MAX, *prefixes)
        last = (ended.job_id, ended.verdict_s, ended.channel, ended.message)
        alone, found = await self._turn([self.name, self._wakes], [*given, *last])
        jobs = [
            Taken(id_.decode(), max(0, waited_ms) / 1000, tries, job) for id_, waited_ms, tries, job in found
        ]
        return Turn(jobs, bool(alone))

    async def put_back(self, worker: str, job_id: str) -> None:
        """A job that the worker took and did not end is there for all again, as if it had not been taken."""
        keys = [f"{in_progress_key_prefix}{job_id}", f"{retry_key_prefix}{job_id}", self._wakes]
        await self._put_back(keys, [worker, _WAKES_KEPT_S])

    async def wait(self, timeout_s: float) -> bool:
        """Until a job comes, which one of those who wait is told, or the time is over."""
        return await self._redis.blpop([self._wakes], timeout=timeout_s) is not None

    async def pass_on(self) -> None:
        """Wake somebody else, for a job that the caller was woken for and has no place for."""
        await self._redis.lpush(self._wakes, 1)

    async def tell(
        self,
        worker: str,
        *,
        pages: int,
        print_s: float,
        held: Iterable[str] = (),
        locked_s: float = RENDER_RETAKEN_AFTER_S,
    ) -> Depth:
        """Say that the worker lives, with how many pages and at what cost of a page's time a document.

        The jobs that it holds stay its own for ``locked_s`` from now.
        """
        print_ms = f"{max(print_s * 1000, 0.1):.3f}"
        jobs, oldest_ms = await self._tell(
            [self.name, self._workers],
            [
                *(worker, int(PRESENCE_S * 1000), pages, print_ms),
                *(int(locked_s * 1000), in_progress_key_prefix, *held),
            ],
        )
        return Depth(jobs, oldest_ms / 1000)

    async def leave(self, worker: str) -> None:
        await self._redis.hdel(self._workers, worker)


def encode_job(job: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode(job)


def decode_job(data: bytes) -> dict[str, Any]:
    return msgspec.msgpack.decode(data, type=dict[str, Any])


def open_queue(url: str) -> ArqRedis:
    """The enqueuing end; it connects when it is first used."""
    return ArqRedis(
        ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S),
        job_serializer=encode_job,
        job_deserializer=decode_job,
        default_queue_name=RENDER_QUEUE,
    )
