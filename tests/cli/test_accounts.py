"""`invouno accounts`."""

from typing import Any

import pytest

from services.api.domain.account import PROFILE_RULES
from services.metering.limits import PLANS
from tests.cli.conftest import Invouno


def created(invouno: Invouno, *options: str) -> str:
    outcome = invouno("accounts", "create", "--name", "Studio", *options, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    return str(outcome.json()["id"])


def shown(invouno: Invouno, account: str) -> dict[str, Any]:
    return invouno("accounts", "show", account, "--json").json()


def test_an_account_begins_free_in_dollars_clean_and_utc(invouno: Invouno) -> None:
    account = created(invouno)
    assert account.startswith("acct_")
    told = shown(invouno, account)
    assert told.pop("created_at").endswith("Z")
    assert told == {
        "id": account, "name": "Studio", "plan": "free", "currency": "USD", "template": "clean", "time_zone": "UTC",
        "seller": {"name": "Studio"}, "limits": {"burst_per_min": 60, "api_calls": 500, "documents": 20},
        "billing": {"anchor_day": 1, "time_zone": "UTC"},
    }  # fmt: skip


def test_all_that_documents_say_of_the_seller_can_be_given(invouno: Invouno) -> None:
    chosen = {
        "email": "jane@acme.example", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX", "locale": "fr",
        "page_size": "letter", "accent_color": "#1a7f5a",
    }  # fmt: skip
    seller = {name: chosen.get(name, f"Ünï {name}") for name in PROFILE_RULES if name != "name"}
    options = [part for name, value in seller.items() for part in (f"--{name.replace('_', '-')}", value)]
    account = created(
        invouno, *options, "--currency", "JPY", "--template", "modern", "--time-zone", "Europe/Paris"
    )  # fmt: skip
    told = shown(invouno, account)
    assert told["seller"] == {"name": "Studio", **seller}
    assert (told["currency"], told["template"], told["time_zone"]) == ("JPY", "modern", "Europe/Paris")


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_can_be_had_from_the_start(invouno: Invouno, plan: str) -> None:
    assert shown(invouno, created(invouno, "--plan", plan))["plan"] == plan


def test_the_list_has_all_accounts_oldest_first(invouno: Invouno) -> None:
    assert invouno("accounts", "list", "--json").json() == []
    assert invouno("accounts", "list").out == "none\n"
    accounts = [created(invouno) for _ in range(3)]
    rows: Any = invouno("accounts", "list", "--json").json()
    assert [row["id"] for row in rows] == accounts
    assert [line.split()[0] for line in invouno("accounts", "list").out.splitlines()] == ["id", *accounts]


def test_people_are_shown_words(invouno: Invouno) -> None:
    account = created(invouno, "--city", "Paris", "--plan", "enterprise")
    lines = dict(line.split(None, 1) for line in invouno("accounts", "show", account).out.splitlines())
    assert lines["id"] == account
    assert lines["seller"] == "name Studio, city Paris"
    assert lines["limits"] == "burst_per_min 60000, api_calls -, documents -"


def test_a_plan_and_own_limits_can_be_changed_and_taken_back(invouno: Invouno) -> None:
    account = created(invouno)

    def limits(*options: str) -> Any:
        outcome = invouno("accounts", "set-plan", account, *options, "--json")
        assert outcome.code == 0, outcome.err
        told = outcome.json()
        assert told["limits"] == shown(invouno, account)["limits"]
        return told["plan"], told["limits"]

    own = {"burst_per_min": 600, "api_calls": None, "documents": 3}
    growth = {"burst_per_min": 600, "api_calls": 10_000, "documents": 1_000}
    scale = {"burst_per_min": 6_000, "api_calls": 500_000, "documents": 20_000}
    assert limits("growth", "--limit", "documents=3", "--limit", "api_calls=unlimited") == ("growth", own)
    assert limits("scale") == ("scale", {**own, "burst_per_min": 6_000})
    assert limits("scale", "--limit", "burst_per_min=1") == ("scale", {**scale, "burst_per_min": 1})
    assert limits("growth", "--no-own-limits") == ("growth", growth)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (("--email", "nobody"), "email"), (("--phone", "x" * 61), "phone"), (("--name", " "), "name"),
        (("--iban", "DE88370400440532013000"), "iban"), (("--bic", "x"), "bic"), (("--locale", "xx"), "locale"),
        (("--page-size", "a5"), "page_size"), (("--accent-color", "red"), "accent_color"),
    ],
)  # fmt: skip
def test_a_seller_is_held_to_the_rules_of_the_account(
    invouno: Invouno, options: tuple[str, str], field: str
) -> None:
    outcome = invouno("accounts", "create", "--name", "Studio", *options)
    assert (outcome.code, outcome.out) == (1, "")
    assert field in outcome.err
    told: Any = invouno("accounts", "create", "--name", "Studio", *options, "--json").json()
    assert (told["error"], list(told["details"])) == ("validation_error", [field])
    assert invouno("accounts", "list", "--json").json() == []


@pytest.mark.parametrize("limit", ["burst_per_min=0", "burst_per_min=99999999", "documents=9999999999999999"])
def test_a_limit_beyond_its_bounds_is_refused(invouno: Invouno, limit: str) -> None:
    account = created(invouno)
    outcome = invouno("accounts", "set-plan", account, "growth", "--limit", limit)
    assert (outcome.code, limit.partition("=")[0] in outcome.err) == (1, True)
    assert shown(invouno, account)["plan"] == "free"


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",), ("create", "--name", "x", "--plan", "gold"), ("create", "--name", "x", "--currency", "usd"),
        ("create", "--name", "x", "--currency", "XAU"), ("create", "--name", "x", "--time-zone", "Mars/Base"),
        ("create", "--name", "x", "--time-zone", "../etc/passwd"), ("create", "--name", "x", "--template", "baroque"),
        ("show",), ("set-plan", "acct_x"), ("set-plan", "acct_x", "gold"),
        ("set-plan", "acct_x", "free", "--limit", "x=1"), ("set-plan", "acct_x", "free", "--limit", "documents"),
        ("set-plan", "acct_x", "free", "--limit", "documents=-1"),
        ("set-plan", "acct_x", "free", "--limit", "documents=many"), ("rename",), (), ("set-billing",),
        ("set-billing", "acct_x", "--anchor-day", "x"), ("set-billing", "acct_x", "--time-zone", "Mars/Base"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_told_with_exit_code_2(anywhere: Invouno, arguments: tuple[str, ...]) -> None:
    outcome = anywhere("accounts", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "usage: invouno accounts" in outcome.err


def test_periods_begin_where_they_were_agreed_to_from_the_next_one_on(invouno: Invouno) -> None:
    account = created(invouno)
    told: Any = invouno("accounts", "set-billing", account, "--anchor-day", "15", "--json").json()
    assert (told["billing"]["anchor_day"], told["billing"]["next"]["anchor_day"]) == (1, 15)
    told = invouno("accounts", "set-billing", account, "--time-zone", "Europe/Paris", "--json").json()
    following = told["billing"]["next"]
    assert (following["anchor_day"], following["time_zone"], following["since"][8:]) == (
        15, "Europe/Paris", "01T00:00:00Z",
    )  # fmt: skip
    assert shown(invouno, account)["billing"] == told["billing"]


@pytest.mark.parametrize(
    "options",
    [(), ("--anchor-day", "0"), ("--anchor-day", "29"), ("--time-zone", "posixrules")],
    ids=" ".join,
)
def test_terms_that_not_every_month_has_are_refused(invouno: Invouno, options: tuple[str, ...]) -> None:
    account = created(invouno)
    outcome = invouno("accounts", "set-billing", account, *options, "--json")
    assert outcome.code in (1, 2), outcome
    assert "next" not in shown(invouno, account)["billing"]


@pytest.mark.parametrize("arguments", [("show",), ("set-plan",)])
def test_an_unknown_account_is_told_with_exit_code_1(invouno: Invouno, arguments: tuple[str, ...]) -> None:
    plan = ("free",) if arguments == ("set-plan",) else ()
    outcome = invouno("accounts", *arguments, "acct_none", *plan)
    assert (outcome.code, outcome.err) == (1, "invouno: There is no account acct_none\n")
