"""Two gateways side by side: numbers, keys, limits and idempotency hold across them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest
from account import Account
from bodies import document
from gateways import Gateways
from product import Product

DAY = {"issued_date": "2026-01-01"}
Ask = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture(scope="module")
def second(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Gateways(product, tmp_path_factory.mktemp("second")) as further:
        yield further.on("second", {})


@pytest.fixture
async def both(account: Account, second: str) -> AsyncIterator[Ask]:
    """Asks the two gateways in turn."""
    headers = account.http.headers
    async with (
        httpx2.AsyncClient(base_url=account.product.gateway, headers=headers, timeout=60) as one,
        httpx2.AsyncClient(base_url=second, headers=headers, timeout=60) as other,
    ):
        turns = [one, other]

        async def ask(verb: str, path: str, **fields: Any) -> httpx2.Response:
            turns.reverse()
            return await turns[0].request(verb, path, **fields)

        yield ask


async def test_numbers_are_consecutive_across_gateways(account: Account, both: Ask) -> None:
    body = document(await asyncio.to_thread(lambda: account.client_id), **DAY, status="sent")
    answers = await asyncio.gather(*(both("POST", "/v1/documents", json=body) for _ in range(50)))
    numbers = sorted(answer.json()["number"] for answer in answers)
    assert numbers == [f"INV-2026-{number:06d}" for number in range(1, 51)]


async def test_one_idempotency_key_makes_one_document_across_gateways(account: Account, both: Ask) -> None:
    body = document(await asyncio.to_thread(lambda: account.client_id))
    once = {"idempotency-key": "across"}
    answers = await asyncio.gather(
        *(both("POST", "/v1/documents", json=body, headers=once) for _ in range(40))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert (await both("GET", "/v1/documents")).json()["pagination"]["total"] == 1


async def test_a_limit_is_exact_across_gateways(account: Account, both: Ask) -> None:
    body = document(await asyncio.to_thread(lambda: account.client_id))
    await asyncio.to_thread(
        account.command, "accounts", "set-plan", account.id, "scale", "--limit", "documents=9"
    )
    answers = await asyncio.gather(*(both("POST", "/v1/documents", json=body) for _ in range(40)))
    assert Counter(answer.status_code for answer in answers) == {201: 9, 429: 31}


async def test_a_key_that_both_have_seen_is_revoked_at_both(account: Account, both: Ask) -> None:
    assert [(await both("GET", "/v1/templates")).status_code for _ in range(2)] == [200, 200]
    (row,) = await asyncio.to_thread(account.sql, "select id from api.keys where account_id = $1", account.id)
    await asyncio.to_thread(account.command, "keys", "revoke", row[0])
    assert [(await both("GET", "/v1/templates")).status_code for _ in range(2)] == [401, 401]


async def test_a_change_of_one_is_seen_by_the_other_at_once(account: Account, both: Ask) -> None:
    draft = (await asyncio.to_thread(account.document))["id"]
    for status in ("sent", "paid"):
        verb, path = ("PUT", "") if status == "sent" else ("POST", "/pay")
        await both(
            verb, f"/v1/documents/{draft}{path}", json={"status": status} if status == "sent" else None
        )
        assert (await both("GET", f"/v1/documents/{draft}")).json()["status"] == status
