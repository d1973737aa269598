"""A gateway that is killed while it creates leaves a document that is counted, or none that is."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx2
import pytest
from account import Account
from bodies import document
from gateways import Gateways
from product import Product, free_port, running, wait_until_ready
from redis import Redis

from shared.messages import meter_reserved, meter_shard

Open = Callable[..., Account]
DEADLINE_S = 15


@pytest.fixture
def sweeper(product: Product, tmp_path: Path) -> Iterator[str]:
    with Gateways(product, tmp_path) as gateways:
        yield gateways.on("sweeper", {"RESERVATION_KEPT_S": "0.3"})


def reserved(account: Account) -> list[bytes]:
    with Redis.from_url(account.product.urls.redis) as redis:
        members = redis.zrange(meter_reserved(meter_shard(account.id)), 0, -1)
        return [member for member in members if account.id.encode() in member]  # pyright: ignore[reportGeneralTypeIssues]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("status", ["draft", "sent"])
def test_a_gateway_killed_while_it_creates(
    open_account: Open, sweeper: str, tmp_path: Path, status: str
) -> None:
    account = open_account()
    body, port = document(account.client_id, status=status), free_port()
    victim = f"http://127.0.0.1:{port}"
    folder = tmp_path / "victim"
    folder.mkdir()
    with running("api", {**account.product.environment(), "PORT": str(port)}, folder) as process:
        wait_until_ready(f"{victim}/health/live", folder)
        with ThreadPoolExecutor() as pool:
            locked = threading.Event()
            held = pool.submit(asyncio.run, _kill_under_lock(account, process.kill, locked))
            assert locked.wait(DEADLINE_S)
            post = pool.submit(httpx2.post, f"{victim}/v1/documents", json=body, headers=account.http.headers)
            held.result()
            with pytest.raises(httpx2.HTTPError):
                post.result()
    assert sweeper
    until(lambda: not reserved(account))
    until(lambda: account.usage()["documents"]["used"] == _documents(account))


def _documents(account: Account) -> int:
    return account.sql("select count(*) from api.documents where account_id = $1", account.id)[0][0]


async def _kill_under_lock(account: Account, kill: Callable[[], None], locked: threading.Event) -> None:
    """Let a create come as far as its statement, which waits for a lock, and end its gateway there."""
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


def test_a_create_that_failed_in_the_database_is_given_back_at_once(open_account: Open) -> None:
    account = open_account("--plan", "free")
    account.sql(
        f"alter table api.documents add constraint broken check (account_id <> '{account.id}') not valid"
    )
    try:
        assert account.post().status_code == 500
    finally:
        account.sql("alter table api.documents drop constraint broken")
    assert account.usage()["documents"]["used"] == 0
    assert reserved(account) == []


def test_a_create_is_settled_soon(account: Account) -> None:
    account.document()
    account.document(status="sent")
    until(lambda: not reserved(account))
    assert account.usage()["documents"]["used"] == 2
