"""The pool that keeps connections at hand: nothing is lost, nobody starves, and what broke goes back to be mended."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from shared.postgres import KeptPool, Pool, acquired, is_lost, open_pool

SIZE = 3


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[KeptPool]:
    opened = await open_pool(database_url, size_max=SIZE, statement_timeout_s=5, sessions_matter=False)
    assert isinstance(opened, KeptPool)
    async with opened:
        yield opened


async def backend(pool: Pool) -> int:
    async with acquired(pool) as connection:
        return await connection.fetchval("select pg_backend_pid()")


async def test_the_connection_that_was_used_last_is_used_again(pool: KeptPool) -> None:
    assert await backend(pool) == await backend(pool)
    assert len(pool.kept) == 1


async def test_many_at_once_take_turns_and_none_waits_for_ever(pool: KeptPool) -> None:
    async def sleep() -> None:
        async with acquired(pool) as connection:
            await connection.execute("select pg_sleep(0.01)")

    await asyncio.gather(*(sleep() for _ in range(60)))
    assert (len(pool.kept) + pool.get_idle_size(), len(pool.waiting)) == (SIZE, 0)


async def test_a_connection_on_which_something_failed_is_cleaned_by_the_pool(pool: KeptPool) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with acquired(pool) as connection, connection.transaction():
            await connection.execute("select 1 / 0")
    assert pool.kept == []
    assert await backend(pool)


async def test_a_connection_that_the_server_has_ended_is_replaced(pool: KeptPool, database_url: str) -> None:
    ended = await backend(pool)
    other = await asyncpg.connect(database_url)
    await other.execute("select pg_terminate_backend($1)", ended)
    await other.close()
    while not is_lost(pool.kept[0]):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    assert await backend(pool) != ended


async def test_who_waits_and_is_cancelled_leaves_nothing_behind(pool: KeptPool) -> None:
    async with acquired(pool), acquired(pool), acquired(pool):
        waiting = asyncio.create_task(backend(pool))
        await asyncio.sleep(0.05)
        assert len(pool.waiting) == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not any(not place.done() for place in pool.waiting)
    assert await backend(pool)


async def test_a_pool_of_sessions_keeps_none(database_url: str) -> None:
    async with await open_pool(database_url, size_max=1, statement_timeout_s=5) as pool:
        async with acquired(pool) as connection:
            await connection.execute("select pg_advisory_lock(1)")
        async with acquired(pool) as connection:
            held = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
            assert await connection.fetchval(held) == 0


async def test_who_waits_is_served_in_turn(pool: KeptPool) -> None:
    served: list[int] = []

    async def wait(number: int) -> None:
        async with acquired(pool):
            served.append(number)

    async with acquired(pool), acquired(pool), acquired(pool):
        waiting = [asyncio.create_task(wait(number)) for number in range(20)]
        await asyncio.sleep(0.05)
        assert served == []
    await asyncio.gather(*waiting)
    assert served == list(range(20))


async def test_who_waits_for_what_breaks_gets_another(pool: KeptPool) -> None:
    async with acquired(pool), acquired(pool):
        breaking = asyncio.create_task(_broken(pool))
        waiting = asyncio.create_task(backend(pool))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await breaking
        assert await waiting


async def _broken(pool: Pool) -> None:
    async with acquired(pool) as connection:
        await asyncio.sleep(0.05)
        await connection.execute("select 1 / 0")


async def test_what_is_handed_to_one_who_has_just_left_goes_to_the_next(pool: KeptPool) -> None:
    async with acquired(pool), acquired(pool):
        async with acquired(pool):
            leaving, staying = asyncio.create_task(backend(pool)), asyncio.create_task(backend(pool))
            await asyncio.sleep(0.05)
        leaving.cancel()  # it holds the connection, and has not run yet
        assert await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving


async def test_who_waits_too_long_is_told(pool: KeptPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.postgres.ACQUIRE_TIMEOUT_S", 0.05)
    async with acquired(pool), acquired(pool), acquired(pool):
        with pytest.raises(TimeoutError):
            await backend(pool)
    assert await backend(pool)
