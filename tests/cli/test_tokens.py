"""`invouno tokens`."""

from typing import Any

import pytest

from services.metering.tokens import is_token
from tests.cli.conftest import Invouno


def made(invouno: Invouno, name: str) -> dict[str, Any]:
    outcome = invouno("tokens", "create", name, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.json()


def test_a_token_is_shown_once(invouno: Invouno) -> None:
    token = made(invouno, "gateway-eu")
    assert is_token(token["token"])
    assert (token["name"], token["id"].startswith("tok_")) == ("gateway-eu", True)
    for shown in (invouno("tokens", "list"), invouno("tokens", "list", "--json")):
        assert token["id"] in shown.out
        assert token["token"] not in shown.out


def test_a_revoked_token_stays_in_the_list_and_its_name_may_be_given_anew(invouno: Invouno) -> None:
    first = made(invouno, "billing")
    revoked = invouno("tokens", "revoke", "billing", "--json").json()
    assert revoked == {"id": first["id"], "name": "billing", "revoked": True}
    second = made(invouno, "billing")
    rows: Any = invouno("tokens", "list", "--json").json()
    assert [(row["id"], row["revoked_at"] is None) for row in rows] == [
        (first["id"], False),
        (second["id"], True),
    ]
    assert first["token"] != second["token"]


def test_what_is_not_there_cannot_be_revoked(invouno: Invouno) -> None:
    made(invouno, "once")
    invouno("tokens", "revoke", "once")
    for name in ("once", "never", "x" * 1000):
        outcome = invouno("tokens", "revoke", name)
        assert outcome.code == 1
        assert outcome.err.startswith("invouno: ")


@pytest.mark.parametrize("name", ["", "environment", "Gateway", "a b", "-a", "a\n", "é", "x" * 65, "taken"])
def test_a_name_that_cannot_be_given_is_told(invouno: Invouno, name: str) -> None:
    made(invouno, "taken")
    outcome = invouno("tokens", "create", "--json", "--", name)
    assert (outcome.code, outcome.json()["error"]) == (1, "validation_error")
