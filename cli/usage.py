"""`invouno usage`: what an account has used of its current period."""

import argparse
from typing import Any

import msgspec

from cli.output import add_json_option
from cli.stores import Stores
from services.api.store.accounts import select_account
from services.metering.accounts import read_usage
from shared.errors import Problem


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser("usage", help="what an account has used of its current period")
    parser.add_argument("account", metavar="ACCT", help="the account's id")
    add_json_option(parser)
    parser.set_defaults(perform=perform)


async def perform(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    connection = await stores.connection()
    if await select_account(connection, options.account) is None:
        raise Problem("not_found", f"There is no account {options.account}")
    return msgspec.to_builtins(await read_usage(connection, stores.redis(), options.account))
