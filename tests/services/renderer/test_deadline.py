"""A deadline counts a job's own work, and not what it waits for a page."""

import asyncio

import pytest

from services.renderer.deadline import deadline, standing_still


async def test_it_ends_what_takes_too_long() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(0.01):
            await asyncio.sleep(60)


async def test_it_stands_still_and_goes_on_where_it_stood() -> None:
    async with deadline(60), deadline(0.2):
        with standing_still():
            await asyncio.sleep(0.4)


async def test_it_ends_what_takes_too_long_after_it_stood_still() -> None:
    async def waits_and_works() -> None:
        async with deadline(60), deadline(0.05):
            with standing_still():
                await asyncio.sleep(0.1)
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await waits_and_works()


async def test_an_outer_one_stands_still_as_well() -> None:
    async with deadline(0.2), deadline(60):
        with standing_still():
            await asyncio.sleep(0.4)


async def test_another_task_s_runs_on() -> None:
    async def waits() -> None:
        with standing_still():
            await asyncio.sleep(60)

    waiting = asyncio.create_task(waits())
    with pytest.raises(TimeoutError):
        async with deadline(0.02):
            await asyncio.sleep(60)
    waiting.cancel()
