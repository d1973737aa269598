"""The queue's two ends: each job once, for whoever waits and whoever works, and no more than can be done in time."""

import asyncio
import pickle
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from shared.queue import (
    NOTHING,
    PRESENCE_S,
    PRINT_S_ASSUMED,
    RENDER_RETAKEN_AFTER_S,
    RENDER_TRIES_MAX,
    Ended,
    Queue,
    Turn,
    decode_job,
    encode_job,
    open_queue,
)

NAME = "invouno:test"
EXPIRES_S = 60.0
ME = "me"


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


async def turn(
    queue: Queue, count: int = 1, *, worker: str = ME, idle: bool = False, ended: Ended = NOTHING
) -> Turn:
    return await queue.turn(worker, count, idle=idle, locked_s=RENDER_RETAKEN_AFTER_S, ended=ended)


async def take(queue: Queue, count: int = 1, *, worker: str = ME, ended: Ended = NOTHING) -> list[str]:
    """The ids of what a busy worker is given."""
    return [one.job_id for one in (await turn(queue, count, worker=worker, ended=ended)).jobs]


async def take_alone(queue: Queue, worker: str = ME) -> list[tuple[str, int]]:
    """The ids of what an idle worker is given that could take many, and how often they were tried alone."""
    return [(one.job_id, one.tries) for one in (await turn(queue, 9, worker=worker, idle=True)).jobs]


async def die(server: "Redis", *job_ids: str) -> None:
    """The locks of a worker that has said nothing for long."""
    await server.delete(*(f"arq:in-progress:{job_id}" for job_id in job_ids))


async def test_jobs_are_taken_in_their_order_and_each_by_one(queue: Queue) -> None:
    for number in range(5):
        assert await ask(queue, f"job-{number}") == 0
        await asyncio.sleep(0.002)
    turns = await asyncio.gather(*(take(queue, 2) for _ in range(4)))
    assert sorted(job for taken in turns for job in taken) == [f"job-{number}" for number in range(5)]
    assert all(taken == sorted(taken) for taken in turns)


async def test_what_is_taken_is_what_was_asked(queue: Queue) -> None:
    await ask(queue, "job")
    (first,) = (await turn(queue)).jobs
    assert decode_job(first.job)["a"] == ["job"]
    assert (first.tries, first.is_given_up) == (0, False)


async def test_what_is_put_back_is_as_if_it_had_never_been_taken(queue: Queue, server: "Redis") -> None:
    await ask(queue, "job")
    before = {key async for key in server.scan_iter("arq:*")}
    for _ in range(5):
        assert await take(queue) == ["job"]
        await queue.put_back(ME, "job")
    assert {key async for key in server.scan_iter("arq:*")} == before


async def test_what_is_put_back_wakes_another(queue: Queue) -> None:
    await ask(queue, "job")
    await take(queue, 9)
    await queue.put_back(ME, "job")
    assert await queue.wait(5)


async def test_who_dies_in_company_is_tried_alone_and_nothing_beside_it(
    queue: Queue, server: "Redis"
) -> None:
    for job_id in ("a", "b", "c"):
        await ask(queue, job_id)
    await take(queue, 2)
    await die(server, "a", "b")
    first = await turn(queue, 9, idle=True)
    assert ([one.job_id for one in first.jobs], first.alone) == (["a"], True)
    assert await take_alone(queue, "other") == [("b", 1)]
    assert await take_alone(queue, "third") == [("c", 0)]


async def test_a_busy_worker_keeps_a_suspect_for_when_it_is_done(queue: Queue, server: "Redis") -> None:
    await ask(queue, "suspect")
    await take(queue)
    await die(server, "suspect")
    await ask(queue, "then")
    busy = await turn(queue, 9)
    assert (busy.jobs, busy.alone) == ([], True)
    assert await take_alone(queue, "other") == [("then", 0)]
    assert await take_alone(queue) == [("suspect", 1)]


async def test_an_idle_worker_first_does_what_stands_before_a_suspect(queue: Queue, server: "Redis") -> None:
    await ask(queue, "first")
    await asyncio.sleep(0.002)
    await ask(queue, "suspect")
    await take(queue, 2)
    await queue.put_back(ME, "first")
    await die(server, "suspect")
    given = await turn(queue, 9, idle=True)
    assert ([one.job_id for one in given.jobs], given.alone) == (["first"], True)
    again = await turn(queue, 1, idle=True, ended=Ended("first"))
    assert ([one.job_id for one in again.jobs], again.alone) == (["suspect"], True)


async def test_only_tries_alone_count_and_past_them_comes_the_verdict(queue: Queue, server: "Redis") -> None:
    await ask(queue, "poison")
    for _ in range(5):
        await take(queue)  # A suspect from the second time on, and never taken by who has other work.
        await die(server, "poison")
    for tries in range(1, RENDER_TRIES_MAX + 1):
        assert await take_alone(queue) == [("poison", tries)]
        await die(server, "poison")
    verdict = await turn(queue, 9)
    assert ([one.is_given_up for one in verdict.jobs], verdict.alone) == ([True], False)


async def test_a_suspect_that_is_put_back_is_suspect_and_its_try_does_not_count(
    queue: Queue, server: "Redis"
) -> None:
    await ask(queue, "suspect")
    await take(queue)
    await die(server, "suspect")
    for _ in range(5):
        assert await take_alone(queue) == [("suspect", 1)]
        await queue.put_back(ME, "suspect")


async def test_a_verdict_stands_for_who_asks_again_and_not_for_ever(queue: Queue, server: "Redis") -> None:
    await ask(queue, "poison")
    await server.set("arq:retry:poison", RENDER_TRIES_MAX)
    assert await take(queue) == ["poison"]
    for _ in range(3):
        assert await take(queue, ended=Ended("poison", verdict_s=300)) == []
        assert await ask(queue, "poison") == 0
        (again,) = (await turn(queue)).jobs
        assert again.is_given_up
        await server.pexpire("arq:retry:poison", 200_000, lt=True)
    assert 0 < await server.pttl("arq:retry:poison") <= 200_000
    await take(queue, ended=Ended("poison"))
    assert not await server.exists("arq:retry:poison")


async def test_a_job_is_a_worker_s_for_as_long_as_it_tells_so(queue: Queue, server: "Redis") -> None:
    await ask(queue, "kept")
    await ask(queue, "lost")
    await take(queue, 2)
    for job_id in ("kept", "lost"):
        await server.pexpire(f"arq:in-progress:{job_id}", 200)
    await queue.tell(ME, pages=1, print_s=1, held=["kept"])
    await asyncio.sleep(0.25)
    assert await take_alone(queue, "other") == [("lost", 1)]


async def test_what_another_has_taken_over_is_left_to_it(queue: Queue, server: "Redis") -> None:
    await ask(queue, "job")
    await take(queue)
    await die(server, "job")
    assert await take_alone(queue, "other") == [("job", 1)]
    await queue.put_back(ME, "job")
    await server.pexpire("arq:in-progress:job", 5_000)
    await queue.tell(ME, pages=1, print_s=1, held=["job"])
    assert await server.get("arq:in-progress:job") == b"other"
    assert await server.pttl("arq:in-progress:job") <= 5_000


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
    assert await take(queue) == ["live"]
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


def test_a_killed_worker_s_poison_is_judged_within_a_caller_s_patience() -> None:
    assert (RENDER_TRIES_MAX + 1) * RENDER_RETAKEN_AFTER_S < 40
    assert RENDER_RETAKEN_AFTER_S >= 2 * PRESENCE_S
