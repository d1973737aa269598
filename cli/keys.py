"""`invouno keys`: create, list and revoke an account's API keys."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncpg.exceptions import ForeignKeyViolationError

from cli.accounts import found_account
from cli.output import add_json_option
from cli.stores import Stores
from services.api.auth import SCOPES, hash_key, new_key
from services.api.store import accounts, keys
from services.api.store.ids import new_id
from services.metering.counters import publish_key_generation
from shared.errors import Problem

_DAYS = re.compile(r"(\d{1,5})d", re.ASCII)


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser("keys", help="create, list and revoke API keys")
    verbs = parser.add_subparsers(metavar="verb", required=True)

    create = verbs.add_parser("create", help="make a key and show it, this once")
    create.add_argument("--account", required=True, metavar="ACCT", help="the account's id")
    create.add_argument(
        "--scopes", type=_scopes, default=list(SCOPES), help=f"comma-separated, of: {', '.join(SCOPES)}"
    )
    create.add_argument(
        "--expires", type=_moment, metavar="WHEN", help="a date (2027-01-31, UTC) or days (90d)"
    )
    create.set_defaults(perform=create_key)

    listing = verbs.add_parser("list", help="the account's keys, without their secrets")
    listing.add_argument("--account", required=True, metavar="ACCT", help="the account's id")
    listing.set_defaults(perform=list_keys)

    revoke = verbs.add_parser("revoke", help="refuse a key from its next call on")
    revoke.add_argument("key_id", metavar="KEY_ID", help="the key's id, key_…")
    revoke.set_defaults(perform=revoke_key)

    for verb in (create, listing, revoke):
        add_json_option(verb)


async def create_key(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    connection = await stores.connection()
    key, key_id = new_key(), new_id("key")
    try:
        await keys.insert_key(
            connection,
            key_id=key_id,
            account_id=options.account,
            key_hash=hash_key(key),
            scopes=options.scopes,
            expires_at=options.expires,
        )
    except ForeignKeyViolationError:
        raise Problem("not_found", f"There is no account {options.account}") from None
    return {
        "id": key_id,
        "key": key,
        "account": options.account,
        "scopes": options.scopes,
        "expires_at": options.expires,
    }


async def list_keys(stores: Stores, options: argparse.Namespace) -> list[dict[str, Any]]:
    account = await found_account(stores, options.account)
    rows = await keys.select_keys(await stores.connection(), account.id)
    return [
        {
            "id": row.id,
            "scopes": list(row.scopes),
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "revoked_at": row.revoked_at,
        }
        for row in rows
    ]


async def revoke_key(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    """Revoke in the database, then tell the meter, which tells every gateway at the key's next call."""
    connection = await stores.connection()
    async with connection.transaction():
        account_id = await keys.revoke_key(connection, options.key_id)
        if account_id is None:
            raise Problem("not_found", f"There is no live key {options.key_id}")
        generation = await accounts.bump_generation(connection, account_id)
    await publish_key_generation(stores.redis(), account_id, generation)
    return {"id": options.key_id, "account": account_id, "revoked": True}


def _scopes(text: str) -> list[str]:
    given = [scope for scope in text.split(",") if scope]
    unknown = sorted(set(given) - set(SCOPES))
    if unknown or not given:
        raise argparse.ArgumentTypeError(f"unknown scope {', '.join(unknown)}; known are {', '.join(SCOPES)}")
    return given


def _moment(text: str) -> datetime:
    days = _DAYS.fullmatch(text)
    try:
        when = datetime.now(UTC) + timedelta(days=int(days[1])) if days else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("give a date such as 2027-01-31, or days such as 90d") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if when <= datetime.now(UTC):
        raise argparse.ArgumentTypeError(f"{text} is in the past")
    return when
