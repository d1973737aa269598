"""Many drafts follow their client a batch at a time: when it is renamed, and before it is deleted."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from streamed import COPY

from services.api.auth import SCOPES
from services.api.call import Call
from services.api.renaming import follow_rename
from services.api.routes import clients as routes
from services.api.routes.bodies import body_around_client
from services.api.store.clients import ClientRow, insert_client, update_client
from services.api.store.documents import DocumentRow, insert_document
from services.api.store.ids import new_id
from services.api.store.keys import Principal
from shared.errors import Problem
from shared.postgres import Connection, Pool, open_pool

ACCOUNT = "acct_1"
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ZERO = Decimal(0)
MANY, AT_ONCE = 2_499, 300
PRINCIPAL = Principal("key_1", ACCOUNT, frozenset(SCOPES), None, 0, "EUR", "clean", "UTC")
CLIENT = ClientRow(new_id("cl"), '{"name": "Acme"}', NOW, NOW)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, size_max=4, statement_timeout_s=10)
    yield opened
    await opened.close()


@pytest.fixture
async def drafts(pool: Pool) -> int:
    """How many the client has."""
    await stock(pool, MANY)
    return MANY + 1


async def stock(pool: Pool, copies: int) -> None:
    row = DocumentRow(
        new_id("doc"), "invoice", None, "draft", CLIENT.id, "", "EUR", date(2026, 3, 1), None, "[]", ZERO, ZERO, ZERO,
        ZERO, "", "clean", None, None, NOW, NOW,
    )  # fmt: skip
    async with pool.acquire() as connection:
        await insert_client(connection, ACCOUNT, CLIENT)
        await insert_document(connection, ACCOUNT, row, body_around_client(row))
        await connection.execute(COPY, ACCOUNT, row.id, copies)


async def become(pool: Pool, profile: str) -> None:
    async with pool.acquire() as connection:
        await update_client(connection, ACCOUNT, msgspec.structs.replace(CLIENT, profile=profile))


async def found(pool: Pool, word: str) -> int:
    """How many drafts a search finds, each of which has its body still."""
    return await pool.fetchval(
        "select count(body) from api.documents where account_id = $1 and search @@ api.search_query($1, $2)",
        ACCOUNT,
        word,
    )


async def test_a_few_drafts_follow_at_once(pool: Pool) -> None:
    await stock(pool, 99)
    await become(pool, '{"name": "Zenith"}')
    assert (await found(pool, "acme"), await found(pool, "zenith")) == (0, 100)
    assert not await follow_rename(pool, limit=AT_ONCE)


async def test_many_drafts_follow_some_at_a_time(pool: Pool, drafts: int) -> None:
    await become(pool, '{"name": "Zenith"}')
    assert await found(pool, "zenith") == 0
    for done in range(AT_ONCE, drafts + AT_ONCE, AT_ONCE):
        assert await follow_rename(pool, limit=AT_ONCE)
        assert await found(pool, "zenith") == min(done, drafts)
    assert await found(pool, "acme") == 0
    assert not await follow_rename(pool, limit=AT_ONCE)


async def test_a_client_that_is_renamed_again_is_followed_from_the_beginning(pool: Pool, drafts: int) -> None:
    await become(pool, '{"name": "Zenith"}')
    assert await follow_rename(pool, limit=AT_ONCE)
    await become(pool, '{"name": "Nadir"}')
    while await follow_rename(pool, limit=AT_ONCE):
        pass
    assert (await found(pool, "zenith"), await found(pool, "nadir")) == (0, drafts)


async def test_a_client_that_is_gone_is_forgotten(pool: Pool, drafts: int) -> None:
    await become(pool, '{"name": "Zenith"}')
    await pool.execute("delete from api.clients where id = $1", CLIENT.id)
    assert await follow_rename(pool, limit=AT_ONCE)
    assert not await follow_rename(pool, limit=AT_ONCE)
    assert await found(pool, "acme") == drafts


def call_on(pool: Pool) -> Call:
    return Call(cast("Any", {"state": {"pool": pool}, "headers": []}), PRINCIPAL, b"")


async def kept(pool: Pool) -> list[tuple[str, int]]:
    """The clients that drafts have by themselves, and how many drafts."""
    rows = await pool.fetch(
        "select client ->> 'name', count(*) from api.documents where account_id = $1 group by 1", ACCOUNT
    )
    return [tuple(row) for row in rows]


async def test_a_deleted_clients_drafts_keep_it_as_it_was_at_the_end(
    pool: Pool, drafts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "DRAFTS_AT_ONCE", AT_ONCE)
    looks = 0

    async def find(_connection: Connection) -> str:
        nonlocal looks
        looks += 1
        if looks == 4:
            await become(pool, '{"name": "Zenith"}')
        return CLIENT.id

    answer = await routes.deleted_client(call_on(pool), find)
    assert answer.body == b'{"id":"%s","deleted":true}' % CLIENT.id.encode()
    assert looks == 3 + drafts // AT_ONCE + 1
    assert await kept(pool) == [("Zenith", drafts)]
    with pytest.raises(Problem, match="no such client"):
        await routes.deleted_client(call_on(pool), find)


async def test_a_deletion_that_takes_long_goes_on_when_it_is_sent_again(
    pool: Pool, drafts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "DRAFTS_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(routes, "DELETE_S_MAX", 0.0)
    await pool.execute('update api.clients set profile = \'{"name": "Acme", "city": "Oslo"}\'')

    async def find(_connection: Connection) -> str:
        return CLIENT.id

    with pytest.raises(Problem) as told:
        await routes.deleted_client(call_on(pool), find)
    assert (told.value.code, told.value.retry_after_s) == ("unavailable", 1)
    in_oslo = "select count(*) from api.documents where client ->> 'city' = 'Oslo'"
    assert await pool.fetchval(in_oslo) == AT_ONCE
    monkeypatch.undo()
    await routes.deleted_client(call_on(pool), find)
    assert await pool.fetchval(in_oslo) == drafts
