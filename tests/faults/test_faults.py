"""The fault suite's short form: a round or two of each kind of fault; `make faults` plays them all."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.faults.cases import CASES
from tests.faults.rounds import Case, play
from tests.faults.table import markdown
from tests.faults.world import World, opened_world

SHORT = [case for case in CASES if case.short]


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with opened_world() as opened:
        yield opened


@pytest.mark.parametrize("case", SHORT, ids=[case.name for case in SHORT])
async def test_what_was_admitted_is_counted_once_through(case: Case, world: World) -> None:
    row = await play(world, case, case.short, secrets.token_hex(4))
    assert not row.problems, f"{markdown([row])}\n{row.problems}\n{world.log()}"
