"""The meter away: calls are refused at once, or let through and each counted afterwards, as the operator chose."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx2
import pytest
from account import Account, caller, refused
from bodies import CLIENT, document
from gateways import NOBODY, Gateways
from product import Product

from deploy.local.stores import started
from deploy.local.valkey import valkey_store
from services.api import outage
from services.api.admission import Admission, MeterAwayError
from services.api.app import METER_TIMEOUT_S
from services.api.meter import Meter, OneNode
from services.api.outage import Event, OpenCalls
from services.metering.library import ensure_library, read_library
from shared.errors import Problem
from shared.redis import open_redis

SLOW = Problem("unavailable", "not now")


class Ledger:
    """Stands for metering: takes each event once, and fails when told to, before or after it took them."""

    def __init__(self) -> None:
        self.taken: dict[str, Event] = {}
        self.away = self.mute = False

    async def take(self, events: Sequence[Event]) -> None:
        if self.away:
            raise SLOW
        self.taken |= {event.id: event for event in events if event.id not in self.taken}
        if self.mute:
            raise SLOW

    def used(self, account_id: str, metric: str = "api_calls") -> int:
        mine = [
            event for event in self.taken.values() if (event.account, event.metric) == (account_id, metric)
        ]
        return sum(event.amount for event in mine)


async def test_calls_are_summed_and_sent_once() -> None:
    ledger = Ledger()
    calls = OpenCalls(ledger.take, allowed=True)
    for number in range(30):
        calls.owe(f"acct_{number % 3}", "api_calls")
    calls.owe("acct_0", "documents")
    await calls.send_all()
    await calls.send_all()
    assert len(ledger.taken) == 4
    assert [ledger.used(f"acct_{number}") for number in range(3)] == [10, 10, 10]
    assert ledger.used("acct_0", "documents") == 1


async def test_what_is_not_taken_stays_owed_under_the_same_ids() -> None:
    ledger = Ledger()
    calls = OpenCalls(ledger.take, allowed=True)
    for state in (
        {"away": True},
        {"away": True},
        {"away": False, "mute": True},
        {"mute": True},
        {"mute": False},
    ):
        vars(ledger).update(state)
        calls.owe("acct_0", "api_calls")
        await calls.send_all()
    assert ledger.used("acct_0") == 5


async def test_calls_that_come_while_some_are_sent_are_sent_next() -> None:
    ledger, may_answer = Ledger(), asyncio.Event()

    async def slowly(events: Sequence[Event]) -> None:
        await may_answer.wait()
        await ledger.take(events)

    calls = OpenCalls(slowly, allowed=True)
    calls.owe("acct_0", "api_calls")
    sending = asyncio.create_task(calls.send_all())
    await asyncio.sleep(0.01)
    calls.owe("acct_0", "api_calls")
    may_answer.set()
    await sending
    await calls.send_all()
    assert ledger.used("acct_0") == 2


async def test_what_waited_long_is_told_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FRESH_S", 0.0)
    ledger = Ledger()
    calls = OpenCalls(ledger.take, allowed=True)
    calls.owe("acct_0", "api_calls")
    await calls.send_all()
    (event,) = ledger.taken.values()
    assert event.time
    assert 0 <= (datetime.now(UTC) - event.time).total_seconds() < 900 + 5


async def test_what_may_be_owed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PENDING_MAX", 3)
    ledger = Ledger()
    ledger.away = True
    calls = OpenCalls(ledger.take, allowed=True)
    for number in range(3):
        assert calls.may_open()
        calls.owe(f"acct_{number}", "api_calls")
        await calls.send_all()
    assert not calls.may_open()
    ledger.away = False
    await calls.send_all()
    assert calls.may_open()


def test_refusing_is_the_default_and_opens_nothing() -> None:
    assert not OpenCalls(Ledger().take, allowed=False).may_open()


@pytest.fixture
def open_gateway(product: Product, tmp_path: Path) -> Iterator[str]:
    away = {"METER_DOWN": "fail_open", "METER_REDIS_URL": f"redis://{NOBODY}/0"}
    with Gateways(product, tmp_path) as gateways:
        url = gateways.on("open", away)
        httpx2.get(f"{url}/v1/templates")
        yield url


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_call_that_is_let_through_is_counted_afterwards(account: Account, open_gateway: str) -> None:
    before = account.usage()["api_calls"]["used"]
    with closing(_caller(account, open_gateway)) as http:
        until(lambda: http.get("/v1/templates").status_code == 200)
        until(lambda: account.usage()["api_calls"]["used"] > before + 1)
        time.sleep(2)
        start = account.usage()
        client = http.post("/v1/clients", json=CLIENT).json()["id"]
        answers = [http.post("/v1/documents", json=document(client)) for _ in range(5)]
        bad = http.post("/v1/documents", json=document("cl_none"))
        assert [answer.status_code for answer in answers] == [201] * 5
        assert "ratelimit" not in answers[0].headers
        refused(bad, 422, "validation_error")
    own = 0

    def counted() -> bool:
        nonlocal own
        own += 1
        usage = account.usage()
        calls = usage["api_calls"]["used"] - start["api_calls"]["used"] - own
        return (usage["documents"]["used"], calls) == (5, 7)

    until(counted)


def test_what_is_put_again_by_its_external_id_is_counted_once_afterwards(
    account: Account, open_gateway: str
) -> None:
    client = account.client_id
    with closing(_caller(account, open_gateway)) as http:
        until(lambda: http.get("/v1/templates").status_code == 200)
        path = "/v1/documents/by-external-id/mine"
        answers = [http.put(path, json=document(client)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 200, 200]
        until(lambda: account.usage()["documents"]["used"] >= 1)
        time.sleep(2)
    assert account.usage()["documents"]["used"] == 1


def test_a_revoked_key_is_refused_also_without_the_meter(account: Account, open_gateway: str) -> None:
    with closing(_caller(account, open_gateway)) as http:
        until(lambda: http.get("/v1/templates").status_code == 200)
        (listed,) = account.command("keys", "list", "--account", account.id)
        account.command("keys", "revoke", listed["id"])
        assert http.get("/v1/templates").status_code == 401


def _caller(account: Account, url: str) -> httpx2.Client:
    http = caller(account.product, account.key)
    http.base_url = url
    return http


class CountedMeter(Meter):
    """Counts what it sends to its node, be it a second time."""

    sent = 0

    async def _send_to(self, node: Any, commands: Any) -> Any:
        self.sent += 1
        return await super()._send_to(node, commands)


class Paused:
    """A Valkey of this test's own that can be stopped in the middle of everything."""

    def __init__(self, url: str, pid_file: Path) -> None:
        self.url = url
        self._pid = int(pid_file.read_text())

    def pause(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Paused]:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    store = valkey_store(tmp_path, durable=False)
    with started(store, tmp_path):
        paused = Paused(store.url, tmp_path / "valkey" / "valkey.pid")
        try:
            yield paused
        finally:
            paused.go_on()


@pytest.fixture
async def meter(server: Paused) -> AsyncIterator[CountedMeter]:
    redis = open_redis(server.url, timeout_s=METER_TIMEOUT_S)
    await ensure_library(redis, read_library())
    meter = CountedMeter(OneNode(redis))
    yield meter
    await meter.aclose()


@pytest.fixture
def admission(meter: CountedMeter) -> Admission:
    return Admission(meter, ANY)


async def _without_a_turn(asking: Iterable[Coroutine[Any, Any, Exception]]) -> list[Exception]:
    """What each comes to, none of which may give the event loop a turn."""
    found: list[Exception] = []
    for each in asking:
        with pytest.raises(StopIteration) as ended:
            each.send(None)
        found.append(ended.value.value)
    return found


async def _ask(admission: Admission) -> Exception:
    try:
        await admission.admit("acct_one", -1, calls=1, documents=0)
    except Exception as error:  # noqa: BLE001 - each of them is looked at
        return error
    raise AssertionError("no account is seeded here")


async def test_a_meter_that_hangs_is_asked_by_one_batch_twice_and_by_the_others_never(
    admission: Admission, meter: CountedMeter, server: Paused
) -> None:
    server.pause()
    first = asyncio.create_task(_ask(admission))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(_ask(admission)) for _ in range(20)]
    unknown, *untouched = await asyncio.gather(first, *waiting)
    assert not isinstance(unknown, MeterAwayError)
    assert all(isinstance(error, MeterAwayError) for error in untouched)
    later = await _without_a_turn(_ask(admission) for _ in range(50))
    assert all(isinstance(error, MeterAwayError) for error in later)
    assert meter.sent == 2


async def test_a_meter_that_comes_back_is_asked_again_without_a_restart(
    admission: Admission, server: Paused
) -> None:
    for _ in range(3):
        server.pause()
        while not isinstance(await _ask(admission), MeterAwayError):
            pass
        server.go_on()
        await asyncio.sleep(1)
        assert not isinstance(await _ask(admission), MeterAwayError)
