"""The queue's two ends: each job once, for whoever waits and whoever works, and no more than can be done in time."""

import asyncio
import pickle
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from shared.queue import (
    NOTHING,
    PRINT_S_ASSUMED,
    RENDER_RETAKEN_AFTER_S,
    RENDER_TIMEOUT_S,
    Ended,
    Queue,
    Taken,
    decode_job,
    encode_job,
    open_queue,
)

NAME = "invouno:test"
EXPIRES_S = 60.0
LOCKED_S = 30.0


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[Queue]:
    redis = open_queue(redis_url)
    yield Queue(redis, NAME)
    await redis.aclose(close_connection_pool=True)


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


async def ask(queue: Queue, job_id: str, *, wait_s_max: float = 15) -> float:
    return await queue.enqueue("render", (job_id,), job_id=job_id, expires_s=EXPIRES_S, wait_s_max=wait_s_max)


async def take(queue: Queue, count: int = 1, ended: Ended = NOTHING) -> list[Taken]:
    return await queue.turn(count, locked_s=LOCKED_S, ended=ended)


async def test_jobs_are_taken_in_their_order_and_each_by_one(queue: Queue) -> None:
    for number in range(5):
        assert await ask(queue, f"job-{number}") == 0
        await asyncio.sleep(0.002)
    turns = await asyncio.gather(*(take(queue, 2) for _ in range(4)))
    taken = [[one.job_id for one in turn] for turn in turns]
    assert sorted(job for turn in taken for job in turn) == [f"job-{number}" for number in range(5)]
    assert all(turn == sorted(turn) for turn in taken)


async def test_what_is_taken_is_what_was_asked_and_its_tries_are_counted(queue: Queue) -> None:
    await ask(queue, "job")
    (first,) = await take(queue)
    assert decode_job(first.job)["a"] == ["job"]
    assert first.tries == 1
    await queue.put_back("job")
    assert [one.tries for one in await take(queue)] == [2]


async def test_a_job_that_is_put_off_is_not_taken_before_its_time(queue: Queue) -> None:
    await ask(queue, "job")
    await take(queue)
    await queue.put_back("job", after_s=0.2)
    assert await take(queue) == []
    await asyncio.sleep(0.25)
    assert [one.job_id for one in await take(queue)] == ["job"]


async def test_an_end_is_told_with_the_next_turn_and_leaves_nothing(queue: Queue, server: "Redis") -> None:
    await ask(queue, "job")
    await take(queue)
    async with server.pubsub() as pushes:
        await pushes.subscribe("done")
        await pushes.get_message(timeout=1)
        assert await take(queue, ended=Ended("job", "done", b"told")) == []
        told = await pushes.get_message(timeout=1)
    assert told
    assert told["data"] == b"told"
    assert [key async for key in server.scan_iter("*")] == []


async def test_a_job_that_has_expired_is_dropped_by_who_meets_it(queue: Queue, server: "Redis") -> None:
    await ask(queue, "dead")
    await server.delete("arq:job:dead")
    await ask(queue, "live")
    assert [one.job_id for one in await take(queue)] == ["live"]
    assert await server.zcard(NAME) == 1


async def test_who_waits_is_woken_and_only_by_what_nobody_has_taken(queue: Queue) -> None:
    waiting = asyncio.create_task(queue.wait(5))
    await asyncio.sleep(0.05)
    await ask(queue, "job-1")
    assert await waiting
    await ask(queue, "job-2")
    await take(queue, 9)
    assert not await queue.wait(0.05)


async def test_of_two_hundred_at_once_only_those_are_queued_that_can_be_done_in_time(queue: Queue) -> None:
    await queue.tell("worker", pages=2, print_s=0.1)
    refused = await asyncio.gather(*(ask(queue, f"job-{n}", wait_s_max=1.5) for n in range(200)))
    # Two pages do twenty a second: thirty wait for 1.5 s, and one is the first that would have to.
    assert sum(over_s == 0 for over_s in refused) == 31
    assert all(over_s == pytest.approx(0.05, abs=0.002) for over_s in refused if over_s)


async def test_a_job_that_is_there_is_joined_however_long_the_queue(queue: Queue) -> None:
    await queue.tell("worker", pages=1, print_s=10)
    assert [await ask(queue, f"job-{n}") for n in range(3)] == [0, 0, 5]
    assert await ask(queue, "job-1") == 0
    await take(queue)
    assert await ask(queue, "job-0") == 0


async def test_refused_is_not_queued_and_admitted_when_there_is_room(queue: Queue, server: "Redis") -> None:
    await queue.tell("worker", pages=1, print_s=20)
    assert [await ask(queue, "job-1"), await ask(queue, "job-2")] == [0, 5]
    assert await server.zcard(NAME) == 1
    await take(queue)
    await take(queue, ended=Ended("job-1"))
    assert await ask(queue, "job-2") == 0


async def test_all_live_workers_count_and_one_that_left_does_not(queue: Queue) -> None:
    await queue.tell("one", pages=1, print_s=10)
    await queue.tell("other", pages=1, print_s=10)
    assert [await ask(queue, f"job-{n}") for n in range(4)] == [0, 0, 0, 0]
    await queue.leave("other")
    assert await ask(queue, "job-5") == 25


async def test_one_that_was_not_heard_of_for_long_does_not_count(queue: Queue, server: "Redis") -> None:
    await queue.tell("live", pages=1, print_s=10)
    await server.execute_command("HSET", f"{NAME}:workers", "dead", "1000 9 1.0")
    assert [await ask(queue, f"job-{n}") for n in range(3)] == [0, 0, 5]
    assert await server.execute_command("HKEYS", f"{NAME}:workers") == [b"live"]


async def test_before_any_worker_has_come_as_many_wait_as_one_page_could_print(queue: Queue) -> None:
    refused = [await ask(queue, f"job-{n}", wait_s_max=0.5) for n in range(20)]
    assert refused.index(next(over_s for over_s in refused if over_s)) == 0.5 / PRINT_S_ASSUMED + 1


async def test_nobody_waits_behind_those_for_whom_nobody_waits(queue: Queue, server: "Redis") -> None:
    await queue.tell("worker", pages=1, print_s=10)
    await server.zadd(NAME, {f"old-{n}": 1000 + n for n in range(50)})
    assert await ask(queue, "job") == 0
    assert await server.zcard(NAME) == 1


async def test_depth_and_the_oldest_s_wait_are_told_to_the_worker(queue: Queue) -> None:
    await ask(queue, "job-1")
    await asyncio.sleep(0.05)
    depth = await queue.tell("worker", pages=1, print_s=0.1)
    assert depth.jobs == 1
    assert 0.04 < depth.oldest_s < 5


def test_a_job_crosses_as_msgpack() -> None:
    job = {"t": 1, "f": "render", "a": ("pdf/x.pdf", b"\x00\xff"), "k": {}, "et": 1_700_000_000_000}
    assert decode_job(encode_job(job)) == {**job, "a": ["pdf/x.pdf", b"\x00\xff"]}


def test_a_pickle_is_never_read() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_job(pickle.dumps({"f": "render"}))


def test_a_killed_workers_job_is_taken_up_soon() -> None:
    assert RENDER_TIMEOUT_S <= 30
    assert RENDER_RETAKEN_AFTER_S <= 30
