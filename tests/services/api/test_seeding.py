"""Asking for seeds together, so that a meter that has forgotten everything is not asked for each account alone."""

import asyncio
from collections.abc import Mapping

import pytest

from services.api import seeding
from services.api.seeding import Seeding
from shared.errors import Problem


class Asked:
    """Stands for metering: remembers what it was asked, and answers when it is let."""

    def __init__(self) -> None:
        self.batches: list[dict[str, int | None]] = []
        self.may_answer = asyncio.Event()
        self.problem: Problem | None = None

    async def seed(self, accounts: Mapping[str, int | None]) -> None:
        self.batches.append(dict(accounts))
        await self.may_answer.wait()
        if self.problem:
            raise self.problem


async def test_those_who_come_while_metering_is_asked_are_asked_for_together() -> None:
    asked = Asked()
    seeding = Seeding(asked.seed)
    first = asyncio.create_task(seeding.seed("acct_0", 3))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(seeding.seed(f"acct_{n % 50}", n)) for n in range(200)]
    await asyncio.sleep(0.01)
    asked.may_answer.set()
    await asyncio.gather(first, *others)
    assert asked.batches == [{"acct_0": 3}, {f"acct_{n}": 150 + n for n in range(50)}]


async def test_an_unknown_generation_never_hides_a_known_one() -> None:
    asked = Asked()
    asked.may_answer.set()
    seeding = Seeding(asked.seed)
    await asyncio.gather(seeding.seed("acct_0", 3), seeding.seed("acct_0"), seeding.seed("acct_1"))
    assert asked.batches == [{"acct_0": 3, "acct_1": None}]


async def test_a_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "SEEDS_MAX", 4)
    asked = Asked()
    asked.may_answer.set()
    collector = Seeding(asked.seed)
    await asyncio.gather(*(collector.seed(f"acct_{n}") for n in range(10)))
    assert [len(batch) for batch in asked.batches] == [4, 4, 2]


async def test_a_refusal_is_told_to_all_who_wait_and_the_next_one_asks_again() -> None:
    asked = Asked()
    asked.may_answer.set()
    asked.problem = Problem("unavailable", "not now")
    seeding = Seeding(asked.seed)
    answers = await asyncio.gather(*(seeding.seed(f"acct_{n}") for n in range(3)), return_exceptions=True)
    assert answers == [asked.problem] * 3
    asked.problem = None
    await seeding.seed("acct_0")


async def test_a_caller_who_leaves_does_not_stop_the_others() -> None:
    asked = Asked()
    seeding = Seeding(asked.seed)
    first, second = (asyncio.create_task(seeding.seed("acct_0")) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    asked.may_answer.set()
    await second
