"""The render queue's two ends in arq's own keys and msgpack, never pickle: what is asked, taken and waited for.

Each end asks Redis once: a script decides there, by Redis's clock, so that no race and no two clocks can differ.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from redis.asyncio import ConnectionPool

from shared.messages import RENDER_QUEUE
from shared.redis import CONNECT_TIMEOUT_S

RENDER_TIMEOUT_S = 20
RENDER_TRIES_MAX = 2
# arq keeps a killed worker's job locked for the timeout and ten seconds more, and then another takes it up.
RENDER_RETAKEN_AFTER_S = RENDER_TIMEOUT_S + 10
# A worker that has not been heard of for so long is taken for gone.
PRESENCE_S = 5.0
# What a document is taken to cost a page until somebody has told: a short one's time.
PRINT_S_ASSUMED = 0.05
_WAKES_MAX = 100
_WAKES_KEPT_S = 60
_TRIES_KEPT_S = 24 * 3600

# KEYS: queue, job, wakes, workers. ARGV: id, job, its expiry and the longest wait in ms, assumed ms a document,
# wakes kept at most, for so many seconds.
# -1: joined one that is there. 0: queued. Else the ms until a place is free; then nothing was written.
_ENQUEUE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
local per_ms = 0
local told = redis.call('HGETALL', KEYS[4])
for at = 1, #told, 2 do
  local until_ms, pages, print_ms = string.match(told[at + 1], '^(%d+) (%d+) ([%d.]+)$')
  if tonumber(until_ms) > now then per_ms = per_ms + pages / print_ms
  else redis.call('HDEL', KEYS[4], told[at]) end
end
if per_ms == 0 then per_ms = 1 / ARGV[5] end
local wait = redis.call('ZCARD', KEYS[1]) / per_ms
if wait > tonumber(ARGV[4]) then return math.max(1, math.ceil(wait - ARGV[4])) end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('LPUSH', KEYS[3], 1)
redis.call('LTRIM', KEYS[3], 0, ARGV[6] - 1)
redis.call('EXPIRE', KEYS[3], ARGV[7])
return 0
"""

# KEYS: queue, wakes. ARGV: how many at most, ms that each is locked, how long tries are counted in s, the prefixes of
# locks, jobs and tries; the id of a job that has ended or nothing, and the channel and message that say so.
# For each job taken its id, the ms that it has waited, which try this is, and the job. When there are less than were
# asked for, every wake so far is answered. A job that has expired is dropped: nobody waits for it.
_TURN = """
local function drop(id)
  redis.call('DEL', ARGV[4] .. id, ARGV[5] .. id, ARGV[6] .. id)
  redis.call('ZREM', KEYS[1], id)
end
if ARGV[7] ~= '' then drop(ARGV[7]) end
if ARGV[8] ~= '' then redis.call('PUBLISH', ARGV[8], ARGV[9]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, at, wanted = {}, 0, tonumber(ARGV[1])
while #taken < wanted do
  local found = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', at, 100, 'WITHSCORES')
  for one = 1, #found, 2 do
    local id = found[one]
    if #taken < wanted and redis.call('SET', ARGV[4] .. id, 1, 'PX', ARGV[2], 'NX') then
      local job = redis.call('GET', ARGV[5] .. id)
      if job then
        local try = redis.call('INCR', ARGV[6] .. id)
        redis.call('EXPIRE', ARGV[6] .. id, ARGV[3])
        taken[#taken + 1] = {id, now - found[one + 1], try, job}
      else
        drop(id)
        at = at - 1
      end
    end
  end
  at = at + 100
  if #found < 200 then break end
end
if #taken < wanted then redis.call('DEL', KEYS[2]) end
return taken
"""

# KEYS: queue, workers. ARGV: the worker, ms that it is taken for alive, pages, ms of a page that a document costs.
# How many jobs there are, and the ms that the first of them has waited.
_TELL = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %d %s', now + ARGV[2], ARGV[3], ARGV[4]))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', KEYS[1]), oldest[2] and math.max(0, now - oldest[2]) or 0}
"""


class Taken(msgspec.Struct, frozen=True):
    """A job, locked to who took it; ``tries`` counts this one."""

    job_id: str
    waited_s: float
    tries: int
    job: bytes


class Ended(msgspec.Struct, frozen=True):
    """A job that is done with, and what is told of it on which channel."""

    job_id: str = ""
    channel: str = ""
    message: bytes = b""


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
        self._enqueue: Any = redis.register_script(_ENQUEUE)
        self._turn: Any = redis.register_script(_TURN)
        self._tell: Any = redis.register_script(_TELL)

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

    async def turn(self, count: int, *, locked_s: float, ended: Ended = NOTHING) -> list[Taken]:
        """At most ``count`` jobs that nobody has, the first first, each locked to the caller.

        Before that, ``ended`` leaves the queue and is told at once, so that whoever asks from then on makes a new job.
        """
        prefixes = (in_progress_key_prefix, job_key_prefix, retry_key_prefix)
        given = (count, int(locked_s * 1000), _TRIES_KEPT_S, *prefixes)
        last = (ended.job_id, ended.channel, ended.message)
        found = await self._turn([self.name, self._wakes], [*given, *last])
        return [
            Taken(id_.decode(), max(0, waited_ms) / 1000, tries, job) for id_, waited_ms, tries, job in found
        ]

    async def put_back(self, job_id: str, *, after_s: float = 0) -> None:
        """A job that was taken and not ended is there for all again."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(f"{in_progress_key_prefix}{job_id}")
            if after_s:
                pipe.zadd(self.name, {job_id: timestamp_ms() + int(after_s * 1000)}, xx=True)
            await pipe.execute()

    async def wait(self, timeout_s: float) -> bool:
        """Until a job comes, which one of those who wait is told, or the time is over."""
        return await self._redis.blpop([self._wakes], timeout=timeout_s) is not None

    async def pass_on(self) -> None:
        """Wake somebody else, for a job that the caller was woken for and has no place for."""
        await self._redis.lpush(self._wakes, 1)

    async def tell(self, worker: str, *, pages: int, print_s: float) -> Depth:
        """Say that the worker lives, with how many pages and at what cost of a page's time a document."""
        print_ms = f"{max(print_s * 1000, 0.1):.3f}"
        jobs, oldest_ms = await self._tell(
            [self.name, self._workers], [worker, int(PRESENCE_S * 1000), pages, print_ms]
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
