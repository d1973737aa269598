"""The lane: few at work at a time, no more places than can be held in memory, and slices between which others go on."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from services.api import lane
from services.api.lane import AT_WORK, PLACES, PLACES_OF_ACCOUNT, Lane
from shared.errors import Problem


def refused_as(lane: Lane, account_id: str) -> str:
    with pytest.raises(Problem) as told, lane.place(account_id):
        pass
    assert told.value.retry_after_s == 1
    return told.value.code


def test_an_account_and_all_together_have_so_many_places() -> None:
    held = Lane()
    with ExitStack() as places:
        for account in range(PLACES // PLACES_OF_ACCOUNT):
            for _ in range(PLACES_OF_ACCOUNT):
                places.enter_context(held.place(f"acct_{account}"))
        assert refused_as(held, "acct_0") == "rate_limited"
        assert refused_as(held, "acct_9") == "unavailable"
    for account in range(PLACES):
        with held.place(f"acct_{account}"):
            pass


def test_no_account_holds_more_of_bodies_than_it_leaves_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "BODY_BYTES_MAX", 1000)
    held = Lane()
    with held.body("acct_0") as first, held.body("acct_0") as again, held.body("acct_1") as other:
        first(300)
        again(200)
        for hold in (first, again):
            with pytest.raises(Problem, match="Too many"):
                hold(1)
        other(250)
        with pytest.raises(Problem, match="Too many"):
            other(1)
    with held.body("acct_1") as alone:
        alone(500)


def test_a_body_that_is_on_its_way_takes_no_place() -> None:
    held = Lane()
    with ExitStack() as bodies:
        for _ in range(10 * PLACES):
            bodies.enter_context(held.body("acct_0"))(1)
        with held.place("acct_0"):
            pass


def test_a_place_is_free_again_after_a_failure() -> None:
    held = Lane()
    for _ in range(PLACES + 1):
        with pytest.raises(ValueError, match="broken"), held.place("acct_0"):
            raise ValueError("broken")


async def test_so_many_are_at_work() -> None:
    held = Lane()
    at_work: list[int] = []

    async def work() -> None:
        async with held.turn:
            at_work.append(1)
            assert len(at_work) <= AT_WORK
            await asyncio.sleep(0.001)
            at_work.pop()

    await asyncio.gather(*(work() for _ in range(10)))


async def test_others_go_on_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "SLICE_S", 0.0)
    order: list[str] = []

    async def other() -> None:
        for _ in range(3):
            order.append("other")
            await asyncio.sleep(0)

    def work(number: int) -> int:
        time.sleep(0.0001)
        order.append("work")
        return number * 2

    results, _ = await asyncio.gather(Lane().in_slices(work, range(3)), other())
    assert results == [0, 2, 4]
    assert order == ["work", "other"] * 3


async def test_what_goes_wrong_in_a_slice_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        await Lane().in_slices(lambda number: 1 // number, [1, 0])


async def test_one_call_is_worked_on_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "SLICE_S", 0.0)
    held, order = Lane(), list[str]()

    def of(name: str) -> Callable[[int], None]:
        return lambda _: order.append(name)

    await asyncio.gather(*(held.in_slices(of(name), range(5)) for name in "abc"))
    assert "".join(order) == "aaaaabbbbbccccc"
