"""`invouno usage`: what an account has used of its current period."""

import argparse
from typing import Any

import msgspec

from cli.accounts import found_account
from cli.output import add_json_option
from cli.stores import Stores
from services.metering.accounts import read_usage


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser("usage", help="what an account has used of its current period")
    parser.add_argument("account", metavar="ACCT", help="the account's id")
    add_json_option(parser)
    parser.set_defaults(perform=perform)


async def perform(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    account = await found_account(stores, options.account)
    return msgspec.to_builtins(await read_usage(await stores.connection(), stores.redis(), account.id))
