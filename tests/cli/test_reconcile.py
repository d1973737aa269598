"""`invouno usage reconcile`: Redis, ledger and documents, on accounts of the running product."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from account import Account
from product import Product
from redis import Redis

from cli import usage
from services.metering.ledger import Used
from services.metering.limits import period_at
from services.metering.reconcile import Created, Held, differences
from shared.messages import meter_account
from tests.cli.conftest import Invouno

PERIOD = period_at(datetime(2026, 3, 15, tzinfo=UTC))


@pytest.fixture
def here(environment: pytest.MonkeyPatch, anywhere: Invouno, product: Product) -> Invouno:
    """Runs the command on the running product's stores."""
    environment.setenv("DATABASE_URL", product.urls.database)
    environment.setenv("REDIS_URL", product.urls.redis)
    environment.setattr(usage, "BETWEEN_LOOKS_S", 0.01)
    return anywhere


@pytest.fixture
def account(product: Product) -> Iterator[Account]:
    """With three documents, of which one is deleted again, and a create that came to nothing."""
    with ExitStack() as opened:
        account = opened.enter_context(Account(product))
        made = [account.document() for _ in range(3)]
        account.http.delete(f"/v1/documents/{made[0]['id']}")
        account.post(client_id="cl_none")
        yield account


def reconciled(here: Invouno, *arguments: str) -> tuple[int, Any]:
    outcome = here("usage", "reconcile", *arguments, "--json")
    return outcome.code, outcome.json()


def test_counts_that_agree_are_none_and_exit_code_0(here: Invouno, account: Account) -> None:
    assert reconciled(here, account.id) == (0, [])
    assert here("usage", "reconcile", account.id).out == "none\n"
    assert account.usage()["documents"]["used"] == 3


def test_a_redis_that_counts_too_much_is_told_and_mended(here: Invouno, account: Account) -> None:
    with Redis.from_url(account.product.urls.redis) as redis:
        redis.hincrby(meter_account(account.id), "calls_used", 5)
    code, (row,) = reconciled(here, account.id)
    assert (code, row["account"], row["metric"], row["redis"] - row["ledger"]) == (
        1,
        account.id,
        "api_calls",
        5,
    )
    assert row["mended"] is False
    assert "api_calls" in here("usage", "reconcile", account.id).out
    code, (row,) = reconciled(here, account.id, "--repair")
    assert (code, row["mended"]) == (0, True)
    assert reconciled(here, account.id) == (0, [])
    assert account.usage()["api_calls"]["used"] == row["ledger"] + 1
    assert reconciled(here, account.id) == (0, [])


@pytest.mark.parametrize("wrong", [2, -2])
def test_documents_that_are_counted_and_are_not_there_or_the_reverse_are_told_and_mended(
    here: Invouno, account: Account, wrong: int
) -> None:
    assert reconciled(here, account.id) == (0, [])  # the ledger has them all
    account.sql(
        "update metering.usage set amount = amount + $2 where account_id = $1 and metric = 'documents'",
        account.id,
        wrong,
    )
    code, (row,) = reconciled(here, account.id)
    assert (code, row["metric"], row["ledger"], row["documents"], row["correction"]) == (
        1, "documents", 3 + wrong, 3, -wrong,
    )  # fmt: skip
    assert reconciled(here, account.id, "--repair")[0] == 0
    assert reconciled(here, account.id) == (0, [])
    assert account.usage()["documents"]["used"] == 3


def test_all_accounts_are_compared_without_any_named(here: Invouno, account: Account) -> None:
    with Redis.from_url(account.product.urls.redis) as redis:
        redis.hincrby(meter_account(account.id), "docs_used", 1)
    code, rows = reconciled(here)
    assert code == 1
    assert [row["metric"] for row in rows if row["account"] == account.id] == ["documents"]
    assert reconciled(here, account.id, account.id, "--repair")[0] == 0


def test_an_unknown_account_is_told(here: Invouno) -> None:
    outcome = here("usage", "reconcile", "acct_none")
    assert (outcome.code, outcome.err) == (1, "invouno: There is no account acct_none\n")


def test_counts_agree_while_calls_and_creates_go_on(here: Invouno, account: Account) -> None:
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            account.document()

    user = threading.Thread(target=use)
    user.start()
    try:
        assert [reconciled(here, account.id) for _ in range(5)] == [(0, [])] * 5
    finally:
        stop.set()
        user.join()


def held(redis: tuple[Used, Used] | None, ledger: Used, reserved: int = 0) -> Held:
    return Held(account_id="acct_x", period=PERIOD, redis=redis, ledger=ledger, reserved=reserved)


@pytest.mark.parametrize(
    ("given", "created", "corrections"),
    [
        (held(None, Used(7, 3)), Created(3, 3), []),
        (held((Used(6, 3), Used(9, 3)), Used(7, 3)), Created(3, 3), []),
        (held((Used(8, 3), Used(9, 3)), Used(7, 3)), Created(3, 3), [("api_calls", 0)]),
        (held(None, Used(7, 4)), Created(3, 4), []),
        (held(None, Used(7, 5), reserved=1), Created(3, 4), []),
        (held(None, Used(7, 7), reserved=1), Created(3, 4), [("documents", -2)]),
        (held(None, Used(7, 1), reserved=1), Created(3, 4), [("documents", 2)]),
        (held((Used(7, 2), Used(7, 2)), Used(7, 3)), Created(3, 3), [("documents", 0)]),
        (held((Used(1, 2), Used(1, 2)), Used(7, 3)), Created(9, 9), [("api_calls", 0), ("documents", 6)]),
    ],
)
def test_only_what_cannot_be_explained_is_a_difference(
    given: Held, created: Created, corrections: list[tuple[str, int]]
) -> None:
    assert [(one.metric, one.correction) for one in differences(given, created)] == corrections
