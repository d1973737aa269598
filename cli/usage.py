"""`invouno usage`: what an account has used of its current period, and whether all who count agree on it."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cli.accounts import found_account
from cli.output import Outcome, add_json_option
from cli.stores import Stores
from services.api.store.accounts import select_accounts
from services.api.store.counts import count_created
from services.metering.accounts import read_usage
from services.metering.billing import select_billing
from services.metering.limits import period_at
from services.metering.reconcile import Created, Difference, differences, mend, read_held
from services.metering.stores import redis_clock
from shared.messages import meter_shard
from shared.postgres import Connection

VERBS = ("show", "reconcile")
# What is under way agrees a moment later; what still differs after all the looks is a difference.
LOOKS = 5
BETWEEN_LOOKS_S = 0.3
ACCOUNTS_AT_ONCE = 200
# How far a gateway's clock may be from Redis's at a period's ends.
MARGIN = timedelta(seconds=30)


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser("usage", help="what an account has used, and whether all counts agree")
    verbs = parser.add_subparsers(metavar="verb", required=True)

    show = verbs.add_parser("show", help="what an account has used of its current period; also: usage ACCT")
    show.add_argument("account", metavar="ACCT", help="the account's id")
    show.set_defaults(perform=show_usage)

    reconcile = verbs.add_parser(
        "reconcile",
        help="compare Redis, ledger and documents for the current period; exit code 1 if they differ",
    )
    reconcile.add_argument("accounts", metavar="ACCT", nargs="*", help="accounts' ids; all without any")
    reconcile.add_argument(
        "--repair", action="store_true", help="mend: the ledger by the documents, Redis by the ledger"
    )
    reconcile.set_defaults(perform=reconcile_usage)

    for verb in (show, reconcile):
        add_json_option(verb)


async def show_usage(stores: Stores, options: argparse.Namespace) -> dict[str, Any]:
    account = await found_account(stores, options.account)
    return msgspec.to_builtins(await read_usage(await stores.connection(), stores.redis(), account.id))


async def reconcile_usage(stores: Stores, options: argparse.Namespace) -> Outcome:
    if options.accounts:
        accounts = [(await found_account(stores, name)).id for name in dict.fromkeys(options.accounts)]
    else:
        accounts = [row.id for row in await select_accounts(await stores.connection())]
    found = await _lasting_differences(stores, accounts)
    if options.repair:
        for difference in found:
            await mend(await stores.connection(), stores.redis(), difference)
    rows = [{**msgspec.structs.asdict(one), "mended": options.repair} for one in found]
    return Outcome(rows, 1 if found and not options.repair else 0)


async def _lasting_differences(stores: Stores, account_ids: Sequence[str]) -> list[Difference]:
    found = await _differences(stores, account_ids)
    for _ in range(1, LOOKS):
        if not found:
            break
        await asyncio.sleep(BETWEEN_LOOKS_S)
        found = await _differences(stores, sorted({difference.account for difference in found}))
    return found


async def _differences(stores: Stores, account_ids: Sequence[str]) -> list[Difference]:
    by_shard: dict[int, list[str]] = {}
    for account_id in account_ids:
        by_shard.setdefault(meter_shard(account_id), []).append(account_id)
    found: list[Difference] = []
    for names in by_shard.values():
        for at in range(0, len(names), ACCOUNTS_AT_ONCE):
            found += await _batch_differences(stores, names[at : at + ACCOUNTS_AT_ONCE])
    return found


async def _batch_differences(stores: Stores, account_ids: Sequence[str]) -> list[Difference]:
    """Documents are counted before and after the rest, so that creates that are under way agree."""
    connection = await stores.connection()
    now = await redis_clock(stores.redis())
    before = {name: await _created(connection, name, now) for name in account_ids}
    found: list[Difference] = []
    for held in await read_held(connection, stores.redis(), account_ids):
        after = await _created(connection, held.account_id, now)
        found += differences(held, Created(before[held.account_id].least, after.most))
    return found


async def _created(connection: Connection, account_id: str, now: datetime) -> Created:
    period = period_at(now, await select_billing(connection, account_id))
    return Created(*await count_created(connection, account_id, period.start, period.end, margin=MARGIN))
