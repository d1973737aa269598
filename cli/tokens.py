"""`invouno tokens`: create, list and revoke the tokens that services show to metering."""

import argparse
from typing import Any

import msgspec

from cli.output import add_json_option
from cli.stores import Stores
from services.metering import tokens
from shared.errors import Problem


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser(
        "tokens", help="create, list and revoke the tokens that services show to metering"
    )
    verbs = parser.add_subparsers(metavar="verb", required=True)

    create = verbs.add_parser("create", help="make a token and show it, this once")
    create.add_argument("name", metavar="NAME", help="whose it is, such as gateway-eu")
    create.set_defaults(perform=create_token)

    listing = verbs.add_parser("list", help="all tokens, without their secrets")
    listing.set_defaults(perform=list_tokens)

    revoke = verbs.add_parser("revoke", help="refuse a token from its next call on")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(perform=revoke_token)

    for verb in (create, listing, revoke):
        add_json_option(verb)


async def create_token(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    token_id, token = await tokens.create_token(await stores.connection(), options.name)
    return {"id": token_id, "name": options.name, "token": token}


async def list_tokens(stores: Stores, _options: argparse.Namespace) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(row) for row in await tokens.select_tokens(await stores.connection())]


async def revoke_token(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    token_id = await tokens.revoke_token(await stores.connection(), options.name)
    if token_id is None:
        raise Problem("not_found", f"There is no live token {options.name}")
    return {"id": token_id, "name": options.name, "revoked": True}
