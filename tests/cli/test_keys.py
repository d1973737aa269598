"""`invouno keys`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.api.auth import SCOPES, is_well_formed
from tests.cli.conftest import Invouno
from tests.cli.test_accounts import created


@pytest.fixture
def account(invouno: Invouno) -> str:
    return created(invouno)


def made(invouno: Invouno, account: str, *options: str) -> dict[str, Any]:
    outcome = invouno("keys", "create", "--account", account, *options, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.json()


def listed(invouno: Invouno, account: str) -> list[dict[str, Any]]:
    rows: Any = invouno("keys", "list", "--account", account, "--json").json()
    return rows


def test_a_key_is_shown_once_and_has_every_scope_and_no_end(invouno: Invouno, account: str) -> None:
    key = made(invouno, account)
    assert is_well_formed(key["key"])
    assert (key["account"], key["scopes"], key["expires_at"]) == (account, list(SCOPES), None)
    shown = invouno("keys", "list", "--account", account)
    assert key["id"] in shown.out
    assert key["key"] not in shown.out


@pytest.mark.parametrize("scopes", [["usage:read"], ["clients:write", "documents:read"], list(SCOPES)])
def test_a_key_has_the_scopes_that_were_asked_for(invouno: Invouno, account: str, scopes: list[str]) -> None:
    assert made(invouno, account, "--scopes", ",".join(scopes))["scopes"] == scopes
    assert listed(invouno, account)[0]["scopes"] == scopes


def test_a_key_may_end_on_a_day_or_after_days(invouno: Invouno, account: str) -> None:
    assert made(invouno, account, "--expires", "2099-01-31")["expires_at"] == "2099-01-31T00:00:00Z"
    ninety = datetime.fromisoformat(made(invouno, account, "--expires", "90d")["expires_at"])
    assert abs(ninety - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    assert (
        made(invouno, account, "--expires", "2099-01-31T12:00:00+02:00")["expires_at"]
        == "2099-01-31T12:00:00+02:00"
    )
    assert [row["expires_at"] for row in listed(invouno, account)][::2] == [
        "2099-01-31T00:00:00Z",
        "2099-01-31T10:00:00Z",
    ]


def test_a_key_is_revoked_once(invouno: Invouno, account: str) -> None:
    first, second = made(invouno, account), made(invouno, account)
    outcome = invouno("keys", "revoke", first["id"], "--json")
    assert (outcome.code, outcome.json()) == (0, {"id": first["id"], "account": account, "revoked": True})
    assert [row["revoked_at"] is None for row in listed(invouno, account)] == [False, True]
    again = invouno("keys", "revoke", first["id"])
    assert (again.code, again.err) == (1, f"invouno: There is no live key {first['id']}\n")
    assert invouno("keys", "revoke", second["id"]).code == 0


@pytest.mark.parametrize("verb", ["create", "list"])
def test_an_unknown_account_is_told_with_exit_code_1(invouno: Invouno, verb: str) -> None:
    outcome = invouno("keys", verb, "--account", "acct_none")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "invouno: There is no account acct_none\n")
    assert invouno("keys", verb, "--account", "acct_none", "--json").json()["error"] == "not_found"


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",), ("create", "--account", "a", "--scopes", "all"), ("create", "--account", "a", "--scopes", ""),
        ("create", "--account", "a", "--scopes", "usage:read,usage:write"),
        ("create", "--account", "a", "--expires", "soon"), ("create", "--account", "a", "--expires", "2020-01-01"),
        ("create", "--account", "a", "--expires", "0d"), ("create", "--account", "a", "--expires", "99999999d"),
        ("create", "--account", "a", "--expires", "99999d" * 2), ("list",), ("revoke",), (),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_told_with_exit_code_2(anywhere: Invouno, arguments: tuple[str, ...]) -> None:
    outcome = anywhere("keys", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "usage: invouno keys" in outcome.err
