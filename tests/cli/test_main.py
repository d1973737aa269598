"""The command as a whole: help everywhere, errors in words, exit codes; usage and migrations."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from cli import migrate
from tests.cli.conftest import Invouno
from tests.cli.test_accounts import created

NOBODY = "127.0.0.1:1"


NOUNS = ("accounts", "keys", "tokens", "migrate", "usage")
VERBS = (
    "accounts create", "accounts list", "accounts show", "accounts set-plan",
    "accounts set-billing", "keys create", "keys list", "keys revoke",
    "tokens create", "tokens list", "tokens revoke", "migrate", "usage show", "usage reconcile",
)  # fmt: skip


@pytest.mark.parametrize("command", ["", "accounts", "keys", "tokens", "usage", *VERBS])
def test_help_is_everywhere(anywhere: Invouno, command: str) -> None:
    outcome = anywhere(*command.split(), "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: invouno {command}".strip())


def test_help_names_every_command(anywhere: Invouno) -> None:
    words = anywhere("--help").out.split()
    assert all(noun in words for noun in NOUNS)
    for verb in (verb for verb in VERBS if " " in verb):
        noun, _, name = verb.partition(" ")
        assert name in anywhere(noun, "--help").out.split()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_speaks_json(anywhere: Invouno, verb: str) -> None:
    assert "--json" in anywhere(*verb.split(), "--help").out


def test_it_runs_as_a_command_of_its_own() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "cli.main", "--help"), capture_output=True, text=True, check=True
    )
    words = " ".join(done.stdout.split())
    assert "0 done, 1 refused, 2 wrong usage, 3 a store cannot be reached" in words


@pytest.mark.parametrize(
    "arguments", [(), ("bogus",), ("usage",), ("migrate", "--bogus"), ("usage", "a", "b")]
)
def test_wrong_usage_is_exit_code_2(anywhere: Invouno, arguments: tuple[str, ...]) -> None:
    outcome = anywhere(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "usage: invouno" in outcome.err


COMMANDS = [
    ("accounts", "create", "--name", "x"), ("accounts", "list"), ("accounts", "show", "a"),
    ("accounts", "set-plan", "a", "free"), ("keys", "create", "--account", "a"), ("keys", "list", "--account", "a"),
    ("keys", "revoke", "k"), ("usage", "a"), ("usage", "show", "a"), ("usage", "reconcile"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_database_that_cannot_be_reached_is_exit_code_3(
    environment: pytest.MonkeyPatch, anywhere: Invouno, arguments: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    environment.setenv("DATABASE_URL", f"postgresql://nobody@{NOBODY}/none")
    environment.setenv("REDIS_URL", f"redis://{NOBODY}/0")
    outcome = anywhere(*arguments, *flags)
    assert (outcome.code, outcome.out) == (3, "")
    assert "DATABASE_URL" in outcome.err
    assert not flags or outcome.json()["error"] == "unavailable"


def test_a_redis_that_cannot_be_reached_is_exit_code_3(
    environment: pytest.MonkeyPatch, anywhere: Invouno, database_url: str
) -> None:
    environment.setenv("DATABASE_URL", database_url)
    environment.setenv("REDIS_URL", f"redis://{NOBODY}/0")
    assert anywhere("accounts", "create", "--name", "x").code == 3
    assert anywhere("accounts", "list").code == 0


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_missing_database_url_is_told_by_its_name(
    environment: pytest.MonkeyPatch, anywhere: Invouno, arguments: tuple[str, ...]
) -> None:
    environment.setenv("REDIS_URL", f"redis://{NOBODY}/0")
    outcome = anywhere(*arguments)
    assert (outcome.code, "DATABASE_URL" in outcome.err) == (1, True)


def test_a_missing_redis_url_is_told_by_its_name(
    environment: pytest.MonkeyPatch, anywhere: Invouno, database_url: str
) -> None:
    environment.setenv("DATABASE_URL", database_url)
    outcome = anywhere("accounts", "create", "--name", "x")
    assert (outcome.code, "REDIS_URL" in outcome.err) == (1, True)
    assert anywhere("accounts", "list").code == 0


def test_a_malformed_url_is_told_in_words(environment: pytest.MonkeyPatch, anywhere: Invouno) -> None:
    environment.setenv("DATABASE_URL", "somewhere")
    outcome = anywhere("accounts", "list")
    assert (outcome.code in {1, 3}, "DATABASE_URL" in outcome.err) == (True, True)


def test_usage_is_what_the_api_tells(invouno: Invouno) -> None:
    account = created(invouno)
    today = datetime.now(UTC).date()
    told = invouno("usage", account, "--json").json()
    period = told.pop("period")
    assert isinstance(period, dict)
    assert period["start"] == today.replace(day=1).isoformat()
    assert told == {
        "plan": "free", "documents": {"used": 0, "limit": 20}, "api_calls": {"used": 0, "limit": 500},
    }  # fmt: skip
    assert "documents  used 0, limit 20" in invouno("usage", account).out
    assert invouno("usage", "--json", account).out == invouno("usage", "show", account, "--json").out


def test_usage_of_an_unknown_account_is_exit_code_1(invouno: Invouno) -> None:
    assert invouno("usage", "acct_none").err == "invouno: There is no account acct_none\n"


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[str]:
    """A database without any schema of ours, beside the test's migrated one."""
    parts = urlsplit(database_url)
    name = f"{parts.path[1:]}_empty"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"create database {name}")
    yield urlunsplit(parts._replace(path=f"/{name}"))
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


def test_migrate_brings_an_empty_database_up_to_date_and_may_be_repeated(
    environment: pytest.MonkeyPatch, anywhere: Invouno, empty_database: str
) -> None:
    environment.setenv("DATABASE_URL", empty_database)
    unready = anywhere("accounts", "list")
    assert (unready.code, "migrated" in unready.err) == (3, True)
    for _ in range(2):
        outcome = anywhere("migrate", "--json")
        assert (outcome.code, outcome.json()) == (0, {"migrated": True})
    assert anywhere("accounts", "list").out == "none\n"


def test_migrate_tells_which_services_migrations_failed(
    environment: pytest.MonkeyPatch, anywhere: Invouno, empty_database: str
) -> None:
    asyncio.run(_executed(empty_database, "create schema api; create table api.accounts (id text)"))
    environment.setenv("DATABASE_URL", empty_database)
    outcome = anywhere("migrate")
    assert (outcome.code, "The migrations of api failed" in outcome.err) == (1, True)


async def _executed(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def test_migrate_on_a_database_that_cannot_be_reached_is_exit_code_3(
    environment: pytest.MonkeyPatch, anywhere: Invouno
) -> None:
    environment.setenv("DATABASE_URL", f"postgresql://nobody@{NOBODY}/none")
    environment.setattr(migrate, "WAIT_S", 1)
    outcome = anywhere("migrate")
    assert (outcome.code, "DATABASE_URL" in outcome.err) == (3, True)
