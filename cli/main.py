"""`invouno`, the operator's command: accounts, keys, plans, tokens, migrations and usage, straight on the stores.

Exit codes: 0 done; 1 refused (the message says why), or counts differ; 2 wrong usage; 3 a store cannot be reached.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

import asyncpg
from redis.exceptions import RedisError

from cli import accounts, keys, migrations, tokens, usage
from cli.migrate import MigrationError
from cli.output import Outcome, show
from cli.stores import Stores
from shared.errors import Problem
from shared.settings import SettingsError

REFUSED, UNREACHABLE = 1, 3


def run() -> None:
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """The command's exit code."""
    options = build_parser().parse_args(_spelled_out(arguments))
    try:
        result = asyncio.run(_perform(options))
    except Problem as problem:
        return _fail(options, REFUSED, problem.code, problem.message, problem.details)
    except (SettingsError, MigrationError) as error:
        return _fail(options, REFUSED, "refused", str(error))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError) as error:
        message = f"A store cannot be reached or is not migrated: {error}. Check DATABASE_URL and REDIS_URL."
        return _fail(options, UNREACHABLE, "unavailable", message)
    outcome = result if isinstance(result, Outcome) else Outcome(result, 0)
    show(outcome.result, as_json=options.json)
    return outcome.code


def _spelled_out(arguments: Sequence[str]) -> Sequence[str]:
    """`usage ACCT` is short for `usage show ACCT`."""
    words = [word for word in arguments if not word.startswith("-")]
    if len(words) > 1 and words[0] == arguments[0] == "usage" and words[1] not in usage.VERBS:
        return ("usage", "show", *arguments[1:])
    return arguments


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="invouno",
        description="Run InvoUno: accounts, keys, plans, tokens, migrations and usage.",
        epilog="Reads DATABASE_URL and METER_REDIS_URL (or REDIS_URL) from the environment. "
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 a store cannot be reached.",
    )
    nouns = parser.add_subparsers(metavar="command", required=True)
    for command in (accounts, keys, tokens, migrations, usage):
        command.add_to(nouns)
    return parser


async def _perform(options: argparse.Namespace) -> Any:
    async with Stores.opened() as stores:
        return await options.perform(stores, options)


def _fail(
    options: argparse.Namespace, code: int, name: str, message: str, details: dict[str, object] | None = None
) -> int:
    if options.json:
        print(json.dumps({"error": name, "message": message, "details": details or {}}), file=sys.stderr)
        return code
    print(f"invouno: {message}", file=sys.stderr)
    for field, sentence in (details or {}).items():
        print(f"  {field}: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    run()
