"""`invouno migrate`: bring the database up to date."""

import argparse
import asyncio
from typing import Any

from cli.migrate import MigrationError, migrate
from cli.output import add_json_option
from cli.stores import Stores


def add_to(nouns: Any) -> None:
    parser = nouns.add_parser("migrate", help="bring the database's schemas up to date")
    add_json_option(parser)
    parser.set_defaults(perform=perform)


async def perform(stores: Stores, _options: argparse.Namespace) -> dict[str, Any]:
    try:
        await asyncio.to_thread(migrate, stores.settings.database_url)
    except MigrationError:
        await stores.connection()  # a server that cannot be reached is told as such, by every command alike
        raise
    return {"migrated": True}
