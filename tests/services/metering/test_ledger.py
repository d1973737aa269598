import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.metering import ledger
from services.metering.ledger import (
    FENCES_PURGED,
    Account,
    UsageRow,
    Used,
    add_usage,
    advance_fences,
    delete_fences,
    lock_hand_over,
    select_account,
    select_fences,
    select_used,
    try_own_shard,
    upsert_account,
)  # fmt: skip
from services.metering.limits import Overrides, Period, check_terms
from services.metering.stores import Stores
from tests.services.metering.conftest import ACCOUNT

MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
HOUR = timedelta(hours=1)
VERBS = ("select ", "insert ", "update ", "delete ")


def statements() -> list[str]:
    """Those of all of metering's files."""
    texts = [
        node.value
        for path in sorted(Path(ledger.__file__).parent.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [text for text in texts if text.strip().startswith(VERBS)]


async def test_every_statement_is_one_that_the_schema_knows(meter: Stores) -> None:
    assert len(statements()) > 15
    async with meter.pool.acquire() as connection:
        for statement in statements():
            await connection.prepare(statement)


async def test_an_unknown_account_is_free(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        assert await select_account(connection, ACCOUNT) == Account(
            plan="free", overrides=Overrides(), version=0
        )


async def test_a_plan_change_keeps_overrides_unless_it_names_them(meter: Stores) -> None:
    overrides = check_terms("growth", {"documents": None, "api_calls": 7})
    async with meter.pool.acquire() as connection:
        await upsert_account(connection, ACCOUNT, plan="growth", overrides=overrides)
        kept = await upsert_account(connection, ACCOUNT, plan="scale", overrides=None)
        assert kept == Account(plan="scale", overrides=overrides, version=2)
        assert await select_account(connection, ACCOUNT) == kept
        cleared = await upsert_account(connection, ACCOUNT, plan="scale", overrides=Overrides())
        assert cleared == Account(plan="scale", overrides=Overrides(), version=3)


async def test_usage_adds_up_within_its_period_and_account(meter: Stores) -> None:
    rows = [
        UsageRow(ACCOUNT, "api_calls", MARCH.start, 5),
        UsageRow(ACCOUNT, "api_calls", MARCH.end - HOUR, 7),
        UsageRow(ACCOUNT, "documents", MARCH.start, 2),
        UsageRow(ACCOUNT, "api_calls", MARCH.start - HOUR, 100),
        UsageRow(ACCOUNT, "api_calls", MARCH.end, 100),
        UsageRow("acct_two", "api_calls", MARCH.start, 100),
    ]
    async with meter.pool.acquire() as connection:
        await add_usage(connection, rows)
        await add_usage(connection, rows[:3])
        assert await select_used(connection, ACCOUNT, MARCH) == Used(api_calls=24, documents=4)
        assert await select_used(connection, "acct_unknown", MARCH) == Used(0, 0)


async def test_fences_are_per_shard_and_never_go_back(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await advance_fences(connection, 1, {"a": 5, "b": 1})
        await advance_fences(connection, 2, {"a": 3})
        await advance_fences(connection, 1, {"a": 4, "b": 2})
        assert await select_fences(connection, 1, ["a", "b", "c"]) == {"a": 5, "b": 2}
        await delete_fences(connection, 1, before=datetime.now(UTC) + HOUR)
        assert await select_fences(connection, 1, ["a", "b"]) == {}
        assert await select_fences(connection, 2, ["a"]) == {"a": 3}


async def test_many_old_fences_go_a_part_at_a_time(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        await advance_fences(connection, 1, {f"p{number}": 1 for number in range(FENCES_PURGED + 5)})
        await advance_fences(connection, 2, {"a": 3})
        later = datetime.now(UTC) + HOUR
        assert await delete_fences(connection, 1, before=later) == FENCES_PURGED
        assert [await delete_fences(connection, 1, before=later) for _ in range(2)] == [5, 0]
        assert await select_fences(connection, 2, ["a"]) == {"a": 3}


async def test_a_shard_has_one_owner_until_it_leaves(meter: Stores) -> None:
    async with meter.pool.acquire() as second:
        async with meter.pool.acquire() as first:
            assert await try_own_shard(first, 3)
            assert not await try_own_shard(second, 3)
            assert await try_own_shard(second, 4)
        assert await try_own_shard(second, 3)


async def test_hand_overs_of_a_shard_wait_for_one_another(meter: Stores) -> None:
    async with meter.pool.acquire() as first, meter.pool.acquire() as second, first.transaction():
        await lock_hand_over(first, 3)
        async with second.transaction():
            await lock_hand_over(second, 4)
        await second.execute("set lock_timeout = '50ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await lock_hand_over(second, 3)
