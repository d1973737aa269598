"""What bulk creates count: one call, and exactly the documents that came to be, whatever breaks under way."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx2
import pytest
from account import Account, refused
from bodies import CLIENT, document
from gateways import Gateways
from product import Product, free_port, running, wait_until_ready

from tests.services.api.conftest import Open
from tests.services.api.test_killed_creates import DEADLINE_S, reserved, until

BULK = "/v1/documents/bulk"


def counted(account: Account) -> tuple[int, int]:
    """Documents that are counted, and that are there; ``usage`` is a call itself."""
    there = account.sql("select count(*) from api.documents where account_id = $1", account.id)[0][0]
    return account.usage()["documents"]["used"], there


def post(account: Account, size: int, *, failing: int = 0, atomic: bool = False) -> httpx2.Response:
    documents = [document(account.client_id)] * (size - failing) + [document("cl_none")] * failing
    return account.http.post(BULK, json={"documents": documents, "atomic": atomic})


def test_items_that_fail_are_given_back_at_once(account: Account) -> None:
    assert post(account, 10, failing=3).json()["created"] == 7
    assert reserved(account) == []
    assert counted(account) == (7, 7)
    assert post(account, 10, failing=1, atomic=True).status_code == 422
    assert post(account, 5, failing=5).json()["failed"] == 5
    assert reserved(account) == []
    assert counted(account) == (7, 7)


def test_a_call_without_failures_is_settled_soon(account: Account) -> None:
    assert post(account, 50).json()["created"] == 50
    until(lambda: not reserved(account))
    assert counted(account) == (50, 50)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_call_for_more_documents_than_are_left_does_nothing(open_account: Open, *, atomic: bool) -> None:
    account = open_account("--plan", "free")
    assert post(account, 12).json()["created"] == 12
    calls = account.usage()["api_calls"]["used"]
    answer = post(account, 9, failing=3, atomic=atomic)
    assert refused(answer, 429, "quota_exceeded") == {"quota": "documents", "limit": 20, "used": 12}
    assert "9 documents, and 8 of the period's 20 are left" in answer.json()["message"]
    assert int(answer.headers["retry-after"]) > 0
    assert account.usage()["api_calls"]["used"] == calls + 1
    assert counted(account) == (12, 12)
    assert post(account, 8).json()["created"] == 8
    assert counted(account) == (20, 20)
    refused(post(account, 1), 429, "quota_exceeded")


def test_bulks_at_once_fill_a_quota_exactly(open_account: Open) -> None:
    account = open_account("--plan", "starter")
    assert account.client_id
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda size: post(account, size, failing=size // 5), [19, 23, 7, 31] * 6)]
    assert {answer.status_code for answer in answers} == {200, 429}
    created = sum(answer.json()["created"] for answer in answers if answer.status_code == 200)
    assert counted(account) == (created, created)
    assert post(account, 200 - created).json()["created"] == 200 - created
    assert counted(account) == (200, 200)


def test_a_malformed_call_counts_as_a_call_and_no_document(account: Account) -> None:
    before = account.usage()["api_calls"]["used"]
    refused(account.http.post(BULK, json={"documents": []}), 422, "validation_error")
    assert account.usage()["api_calls"]["used"] == before + 2
    assert counted(account) == (0, 0)


def test_clients_count_as_a_call_alone(account: Account) -> None:
    before = account.usage()["api_calls"]["used"]
    assert account.http.post("/v1/clients/bulk", json={"clients": [CLIENT] * 20}).json()["created"] == 20
    assert account.usage()["api_calls"]["used"] == before + 2
    assert counted(account) == (0, 0)


def test_a_bulk_that_failed_in_the_database_is_given_back_at_once(open_account: Open) -> None:
    account = open_account("--plan", "free")
    account.sql(
        f"alter table api.documents add constraint broken check (account_id <> '{account.id}') not valid"
    )
    try:
        assert post(account, 20).status_code == 500
    finally:
        account.sql("alter table api.documents drop constraint broken")
    assert reserved(account) == []
    assert counted(account) == (0, 0)
    assert post(account, 20).json()["created"] == 20


@pytest.fixture
def sweeper(product: Product, tmp_path: Path) -> Iterator[str]:
    with Gateways(product, tmp_path) as gateways:
        yield gateways.on("sweeper", {"RESERVATION_KEPT_S": "0.3"})


@pytest.mark.parametrize("once", [{}, {"idempotency-key": "killed"}], ids=["plain", "idempotent"])
def test_a_gateway_killed_while_it_creates_many(
    open_account: Open, sweeper: str, tmp_path: Path, once: dict[str, str]
) -> None:
    account = open_account()
    documents = [document(account.client_id, status="sent")] * 40 + [document("cl_none")] * 2
    port = free_port()
    victim = f"http://127.0.0.1:{port}"
    folder = tmp_path / "victim"
    folder.mkdir()
    with running("api", {**account.product.environment(), "PORT": str(port)}, folder) as process:
        wait_until_ready(f"{victim}/health/live", folder)
        with ThreadPoolExecutor() as pool:
            locked = threading.Event()
            held = pool.submit(asyncio.run, _kill_under_lock(account, process.kill, locked))
            assert locked.wait(DEADLINE_S)
            headers = {**account.http.headers, **once}
            post = pool.submit(httpx2.post, victim + BULK, json={"documents": documents}, headers=headers)
            held.result()
            with pytest.raises(httpx2.HTTPError):
                post.result()
    assert sweeper
    until(lambda: not reserved(account))
    until(lambda: counted(account) in {(0, 0), (40, 40)})


async def _kill_under_lock(account: Account, kill: Callable[[], None], locked: threading.Event) -> None:
    """Let a bulk come as far as its statement, which waits for a lock, and end its gateway there."""
    connection = await asyncpg.connect(account.product.urls.database)
    try:
        async with connection.transaction():
            await connection.execute("lock table api.documents in exclusive mode")
            locked.set()
            await asyncio.to_thread(until, lambda: len(reserved(account)) == 1)
            await asyncio.sleep(0.3)
            kill()
            await asyncio.sleep(0.3)
    finally:
        await connection.close()
