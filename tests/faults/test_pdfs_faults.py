"""The short form of the faults on PDFs: a round of each that heals soon."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.faults.pdfs import CASES, Case, Shop, opened_shop, play
from tests.faults.pdfs_table import markdown
from tests.faults.world import opened_world

SHORT = [case for case in CASES if case.short]


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[Shop]:
    async with opened_world() as world, opened_shop(world) as opened:
        yield opened


@pytest.mark.parametrize("case", SHORT, ids=[case.name for case in SHORT])
async def test_every_caller_is_answered_and_nothing_is_lost(case: Case, shop: Shop) -> None:
    row = await play(shop, case, case.short, secrets.token_hex(4))
    assert not row.problems, f"{markdown([row])}\n{row.problems}\n{shop.world.log()}"
