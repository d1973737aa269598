"""A full database: accounts with few, many and very many documents, and very many accounts, filled by SQL."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random

import asyncpg
import msgspec
from load import Caller

from services.api.folding import PASSED_AFTER
from services.api.store.counts import fold_client_counts, fold_document_counts, fold_due_counts
from shared.postgres import Connection
from tests.bench.stock import LIMITS, copy_clients, copy_documents, insert_accounts, post_documents
from tests.faults.world import Setup, opened_world

SMALL, LARGE, LARGEST = 1_000, 100_000, 1_000_000
ACCOUNTS, EACH = 10_000, 100
# So many rows a statement.
CHUNK = 50_000
# So many documents of an account, and so many of the many accounts, are called for.
SAMPLE = 400
STATEMENT_S_MAX = 120.0


class Population(msgspec.Struct, frozen=True):
    """An account, or many that are alike, with so many documents each, some of which are known by id, newest last."""

    name: str
    documents: int
    callers: Sequence[Caller]
    ids: Mapping[str, Sequence[str]]


class Populated(msgspec.Struct, frozen=True):
    """``size_bytes`` is of the documents with their indexes; the populations are in the order of their size."""

    gateway: str
    populations: Sequence[Population]
    size_bytes: int


@asynccontextmanager
async def opened_populations() -> AsyncGenerator[Populated]:
    """The smallest account is posted through the gateway, and all others are filled with copies of its documents."""
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        smallest = await world.caller(LIMITS)
        posted = await post_documents(world.urls[0], smallest, SMALL)
        connection = await asyncpg.connect(world.postgres.url, command_timeout=STATEMENT_S_MAX)
        try:
            populations = await _filled(connection, smallest, posted)
            size_bytes = await connection.fetchval("select pg_total_relation_size('api.documents')")
        finally:
            await connection.close()
        yield Populated(world.urls[0], populations, size_bytes)


async def _filled(connection: Connection, smallest: Caller, posted: Sequence[str]) -> list[Population]:
    source, chance = smallest.account_id, Random(1)
    large, largest = await insert_accounts(connection, 2)
    for caller, documents in ((large, LARGE), (largest, LARGEST)):
        await copy_clients(connection, source, [caller.account_id])
        copies = CHUNK // SMALL
        for first in range(0, documents // SMALL, copies):
            await copy_documents(
                connection, source, [caller.account_id], ids=posted, copies=copies, first=first
            )
    many = await insert_accounts(connection, ACCOUNTS)
    for at in range(0, ACCOUNTS, CHUNK // EACH):
        targets = [caller.account_id for caller in many[at : at + CHUNK // EACH]]
        await copy_clients(connection, source, targets)
        await copy_documents(connection, source, targets, ids=chance.sample(posted, EACH), copies=1)
    await _settle(connection)
    return [
        await _population(connection, f"{SMALL:,}", SMALL, [smallest]),
        await _population(connection, f"{LARGE:,}", LARGE, [large]),
        await _population(connection, f"{LARGEST:,}", LARGEST, [largest]),
        await _population(connection, f"{ACCOUNTS:,} x {EACH}", EACH, chance.sample(many, SAMPLE)),
    ]


async def _settle(connection: Connection) -> None:
    """What a gateway and the database would have done by and by."""
    passed, limit = datetime.now(UTC).date() - PASSED_AFTER, 10**9
    await fold_document_counts(connection, limit=limit)
    await fold_due_counts(connection, passed=passed, limit=limit)
    await fold_client_counts(connection, limit=limit)
    await connection.execute("vacuum analyze")
    await connection.execute("checkpoint")


async def _population(
    connection: Connection, name: str, documents: int, callers: Sequence[Caller]
) -> Population:
    """With a sample of the documents of each account."""
    ids = {caller.account_id: await _sample(connection, caller.account_id) for caller in callers}
    return Population(name, documents, callers, ids)


async def _sample(connection: Connection, account_id: str) -> list[str]:
    rows = await connection.fetch(_SELECT_SAMPLE, account_id, SAMPLE)
    return sorted(row[0] for row in rows)


_SELECT_SAMPLE = "select id from api.documents where account_id = $1 order by random() limit $2"
