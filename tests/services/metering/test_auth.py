"""Service tokens at the door of the internal API."""

import asyncio
from collections.abc import AsyncGenerator

import httpx2
import msgspec
import pytest

from services.metering.settings import Settings
from services.metering.stores import Stores
from services.metering.tokens import create_token, hash_token, is_token, revoke_token
from tests.services.metering.conftest import TOKEN, USAGE, client_of


@pytest.fixture
async def client(meter: Stores, settings: Settings) -> AsyncGenerator[httpx2.AsyncClient]:
    assert meter
    async for client in client_of(settings):
        yield client


async def status(client: httpx2.AsyncClient, token: str) -> int:
    return (await client.get(USAGE, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_a_made_token_opens_the_door_until_it_is_revoked(
    client: httpx2.AsyncClient, meter: Stores
) -> None:
    async with meter.pool.acquire() as connection:
        _, first = await create_token(connection, "gateway")
        _, other = await create_token(connection, "billing")
        assert [await status(client, token) for token in (first, other, TOKEN)] == [200] * 3
        await revoke_token(connection, "gateway")
        assert [await status(client, token) for token in (first, other, TOKEN)] == [401, 200, 200]
        _, second = await create_token(connection, "gateway")
        assert [await status(client, token) for token in (first, second)] == [401, 200]


async def test_only_the_hash_of_a_token_is_stored(meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        _, token = await create_token(connection, "gateway")
        row = await connection.fetchrow("select * from metering.service_tokens")
    assert row is not None
    assert row["hash"] == hash_token(token)
    assert token not in str(dict(row))


async def test_what_only_looks_like_a_token_opens_nothing(client: httpx2.AsyncClient, meter: Stores) -> None:
    async with meter.pool.acquire() as connection:
        _, token = await create_token(connection, "gateway")
    for wrong in (
        token[:-1],
        token + "x",
        token.upper(),
        f"{token[:-1]}-",
        f"{token} x",
        "st_live_" + "a" * 43,
    ):
        assert await status(client, wrong) == 401
    for shown in (
        b"Bearer \xff\xfe",
        b"bearer " + token.encode(),
        b"Bearer\t" + token.encode(),
        token.encode(),
    ):
        assert (await client.get(USAGE, headers={b"Authorization": shown})).status_code == 401


async def test_a_token_of_the_environment_needs_no_store_and_a_made_one_waits_for_it(
    settings: Settings, meter: Stores
) -> None:
    async with meter.pool.acquire() as connection:
        _, token = await create_token(connection, "gateway")
    away = msgspec.structs.replace(settings, database_url="postgresql://nobody@127.0.0.1:1/x")
    async for client in client_of(away):
        assert await status(client, token) == 503
        assert await status(client, "wrong") == 401
        answer = await client.get(f"{USAGE}/nowhere", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 404


async def test_a_token_of_the_environment_may_be_of_any_letters(settings: Settings) -> None:
    async for client in client_of(msgspec.structs.replace(settings, service_token="schlüssel")):
        path = "/internal/v1/nowhere"
        assert (
            await client.get(path, headers={b"Authorization": "Bearer schlüssel".encode()})
        ).status_code == 404


async def test_of_many_who_want_a_name_at_once_one_gets_it(meter: Stores) -> None:
    async def make() -> bool:
        async with meter.pool.acquire() as connection:
            try:
                return is_token((await create_token(connection, "gateway"))[1])
            except Exception as error:  # noqa: BLE001 - every other way to fail fails the count below
                return "Problem" not in type(error).__name__

    assert sum(await asyncio.gather(*(make() for _ in range(8)))) == 1
