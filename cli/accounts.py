"""`invouno accounts`: create, list, show, set the plan, and when periods begin."""

import argparse
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cli.output import add_json_option
from cli.stores import Stores
from services.api.domain.account import PROFILE_RULES, new_seller
from services.api.domain.money import EXPONENTS
from services.api.store import accounts
from services.api.store.accounts import AccountRow
from services.api.store.ids import new_id
from services.metering.accounts import read_account, set_plan
from services.metering.billing import Change, read_billing, set_billing
from services.metering.limits import ANCHOR_DAY_MAX, DEFAULT_PLAN, PLANS
from shared.errors import Problem
from shared.locales import LOCALES, PAGE_SIZES
from shared.templates import TEMPLATES

HELP = {
    "iban": "where the seller is paid, with or without spaces",
    "bic": "the bank of the IBAN",
    "payment_terms": "up to 500 characters, printed beside the bank",
    "locale": f"the language of documents: {', '.join(LOCALES)}",
    "page_size": f"the paper of documents: {' or '.join(PAGE_SIZES)}",
    "accent_color": "#rrggbb, instead of the template's own",
}
LIMITS = ("burst_per_min", "api_calls", "documents")


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser("accounts", help="create, list and show accounts, set their plans")
    verbs = parser.add_subparsers(metavar="verb", required=True)

    create = verbs.add_parser("create", help="make an account")
    create.add_argument("--name", required=True, help="the seller's name, as printed on documents")
    create.add_argument("--plan", choices=tuple(PLANS), default=DEFAULT_PLAN)
    create.add_argument(
        "--currency", choices=sorted(EXPONENTS), default="USD", metavar="CODE", help="ISO 4217"
    )
    create.add_argument("--template", choices=[template.id for template in TEMPLATES], default="clean")
    create.add_argument(
        "--time-zone", type=_time_zone, default="UTC", metavar="ZONE", help="such as Europe/Paris"
    )
    for field in PROFILE_RULES:
        if field != "name":
            create.add_argument(
                f"--{field.replace('_', '-')}",
                help=HELP.get(field, f"the seller's {field.replace('_', ' ')}"),
            )
    create.set_defaults(perform=create_account)

    listing = verbs.add_parser("list", help="all accounts")
    listing.set_defaults(perform=list_accounts)

    show = verbs.add_parser("show", help="one account with its plan and limits")
    show.add_argument("account", metavar="ACCT", help="the account's id")
    show.set_defaults(perform=show_account)

    plan = verbs.add_parser("set-plan", help="change plan or limits, from the next call on")
    plan.add_argument("account", metavar="ACCT", help="the account's id")
    plan.add_argument("plan", choices=tuple(PLANS))
    plan.add_argument(
        "--limit",
        action="append",
        type=_limit,
        metavar="NAME=AMOUNT",
        help=f"an own {' or '.join(LIMITS)}: a number or `unlimited`; replaces all the own limits, "
        "which otherwise stay",
    )
    plan.add_argument("--no-own-limits", action="store_true", help="have the plan's limits in all things")
    plan.set_defaults(perform=change_plan)

    billing = _add_billing(verbs)
    for verb in (create, listing, show, plan, billing):
        add_json_option(verb)


def _add_billing(verbs: Any) -> argparse.ArgumentParser:
    billing = verbs.add_parser("set-billing", help="change when periods begin, from the next one on")
    billing.add_argument("account", metavar="ACCT", help="the account's id")
    billing.add_argument(
        "--anchor-day", type=int, metavar="DAY", help=f"the day of the month, 1 to {ANCHOR_DAY_MAX}"
    )
    billing.add_argument(
        "--time-zone", type=_time_zone, metavar="ZONE", help="whose midnight it is, such as Europe/Paris"
    )
    billing.set_defaults(perform=change_billing)
    return billing


async def create_account(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    profile = new_seller({field: getattr(options, field) for field in PROFILE_RULES})
    account_id = new_id("acct")
    connection = await stores.connection()
    await set_plan(connection, stores.redis(), account_id, options.plan)
    await accounts.insert_account(
        connection,
        account_id=account_id,
        name=options.name,
        currency=options.currency,
        template=options.template,
        time_zone=options.time_zone,
        profile=json.dumps(profile, ensure_ascii=False),
    )
    return {"id": account_id, "name": options.name, "plan": options.plan}


async def list_accounts(stores: Stores, _options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = await accounts.select_accounts(await stores.connection())
    return [{"id": row.id, "name": row.name, "created_at": row.created_at} for row in rows]


async def show_account(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    row = await found_account(stores, options.account)
    terms = await read_account(await stores.connection(), row.id)
    return {
        "id": row.id,
        "name": row.name,
        "currency": row.currency,
        "template": row.template,
        "time_zone": row.time_zone,
        "created_at": row.created_at,
        "seller": {name: value for name, value in json.loads(row.profile).items() if value},
        "plan": terms.plan,
        "limits": msgspec.structs.asdict(terms.limits),
        "billing": await _billing(stores, row.id),
    }


async def _billing(stores: Stores, account_id: str) -> dict[str, Any]:
    return msgspec.to_builtins(await read_billing(await stores.connection(), account_id, datetime.now(UTC)))


async def change_billing(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    row = await found_account(stores, options.account)
    change = Change(options.anchor_day, options.time_zone)
    if change == Change():
        raise Problem("validation_error", "Give --anchor-day, --time-zone, or both")
    await set_billing(await stores.connection(), stores.redis(), row.id, change)
    return {"id": row.id, "billing": await _billing(stores, row.id)}


async def change_plan(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    row = await found_account(stores, options.account)
    overrides = {} if options.no_own_limits else options.limit and dict(options.limit)
    connection = await stores.connection()
    await set_plan(connection, stores.redis(), row.id, options.plan, overrides)
    terms = await read_account(connection, row.id)
    return {"id": row.id, "plan": terms.plan, "limits": msgspec.structs.asdict(terms.limits)}


async def found_account(stores: Stores, account_id: str) -> AccountRow:
    """The account; raises not_found."""
    row = await accounts.select_account(await stores.connection(), account_id)
    if row is None:
        raise Problem("not_found", f"There is no account {account_id}")
    return row


def _limit(text: str) -> tuple[str, int | None]:
    name, _, amount = text.partition("=")
    if name in LIMITS and amount == "unlimited":
        return name, None
    if name in LIMITS and amount.isdecimal():
        return name, int(amount)
    raise argparse.ArgumentTypeError(f"give {'|'.join(LIMITS)}=NUMBER or =unlimited")


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{text} is no IANA time zone, such as Europe/Paris") from None
    return text
