"""A full database: accounts with few, many and very many documents, and very many accounts, filled by SQL."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import msgspec
from load import Caller

from services.api.folding import PASSED_AFTER
from services.api.store.counts import (
    fold_client_counts,
    fold_document_counts,
    fold_due_counts,
    mark_lapsed,
)
from shared.postgres import Connection, Pool
from tests.bench import stock
from tests.bench.stock import (
    LIMITS,
    copy_clients,
    copy_documents,
    insert_accounts,
    post_documents,
    request_body,
)
from tests.bench.ways import AT_ONCE, at_once
from tests.faults.world import Setup, opened_world

SMALL, LARGE, LARGEST = 1_000, 100_000, 1_000_000
ACCOUNTS, EACH = 10_000, 100
# So many rows a statement.
CHUNK = 50_000
# So many documents of an account, and so many of the many accounts, are called for.
SAMPLE = 400
STATEMENT_S_MAX = 120.0
# The oldest documents are of so many days ago. All but half of the quotes are due 14 to 30 days after they were issued.
DAYS = 1_095
UNPAID = ("overdue", "sent")


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


class Chunk(msgspec.Struct, frozen=True):
    """Copies of some of the smallest account's documents to other accounts, in one statement."""

    targets: Sequence[str]
    ids: Sequence[str]
    copies: int
    first: int = 0


def body_of(client_id: str, number: int) -> dict[str, Any]:
    """The documents of three years, from the oldest on."""
    issued, due = _dates(number)
    body = request_body(client_id, number)
    sent = "draft" if status_of(number) == "draft" else "sent"
    return body | {"status": sent, "issued_date": issued, "due_date": due}


def status_of(number: int) -> str:
    """Of what is due most is paid and some is overdue; of what is not due yet some is paid."""
    status, due = stock.status_of(number), _dates(number)[1]
    if status not in UNPAID or due is None:
        return "sent" if status == "overdue" else status
    if due >= _today():
        return "sent"
    return "overdue" if status == "overdue" or number % 2 else "paid"


def _dates(number: int) -> tuple[date, date | None]:
    issued = _today() - timedelta(days=(SMALL - 1 - number) * DAYS // SMALL)
    endless = stock.TYPES[number % len(stock.TYPES)] == "quote" and number % 2
    return issued, None if endless else issued + timedelta(days=14 + number % 17)


def _today() -> date:
    return datetime.now(UTC).date()


@asynccontextmanager
async def opened_populations() -> AsyncGenerator[Populated]:
    """The smallest account is posted through the gateway, and all others are filled with copies of its documents."""
    async with opened_world() as world:
        await world.arrange(Setup(gateways=1))
        smallest = await world.caller(LIMITS)
        posted = await post_documents(world.urls[0], smallest, SMALL, body=body_of, status=status_of)
        async with _opened_pool(world.postgres.url) as pool:
            populations = await _filled(pool, smallest, posted)
            size_bytes = await pool.fetchval("select pg_total_relation_size('api.documents')")
        yield Populated(world.urls[0], populations, size_bytes)


def _opened_pool(url: str) -> Pool:
    return asyncpg.create_pool(
        url,
        min_size=AT_ONCE,
        max_size=AT_ONCE,
        command_timeout=STATEMENT_S_MAX,
        server_settings={"synchronous_commit": "off", "maintenance_work_mem": "512MB"},
    )


async def _filled(pool: Pool, smallest: Caller, posted: Sequence[str]) -> list[Population]:
    async with pool.acquire() as connection:
        await _fold(connection)  # copies have lapsed as what they are copies of
        large, largest, *many = await insert_accounts(connection, 2 + ACCOUNTS)
        accounts = [caller.account_id for caller in (large, largest, *many)]
        await copy_clients(connection, smallest.account_id, accounts)
    chunks = [
        *_chunks_of_one(large, posted, LARGE),
        *_chunks_of_one(largest, posted, LARGEST),
        *_chunks_of_many(many, posted),
    ]
    async with _indexed_afterwards(pool):
        await at_once(AT_ONCE, chunks, lambda chunk: _copy(pool, smallest.account_id, chunk))
    async with pool.acquire() as connection:
        await _settle(connection)
        return [
            await _population(connection, f"{SMALL:,}", SMALL, [smallest]),
            await _population(connection, f"{LARGE:,}", LARGE, [large]),
            await _population(connection, f"{LARGEST:,}", LARGEST, [largest]),
            await _population(connection, f"{ACCOUNTS:,} x {EACH}", EACH, Random(1).sample(many, SAMPLE)),
        ]


def _chunks_of_one(caller: Caller, posted: Sequence[str], documents: int) -> Iterator[Chunk]:
    copies = CHUNK // len(posted)
    for first in range(0, documents // len(posted), copies):
        yield Chunk([caller.account_id], posted, copies, first)


def _chunks_of_many(callers: Sequence[Caller], posted: Sequence[str]) -> Iterator[Chunk]:
    for at in range(0, len(callers), CHUNK // EACH):
        targets = [caller.account_id for caller in callers[at : at + CHUNK // EACH]]
        yield Chunk(targets, sorted(Random(at).sample(posted, EACH)), copies=1)


async def _copy(pool: Pool, source: str, chunk: Chunk) -> None:
    async with pool.acquire() as connection:
        await copy_documents(
            connection, source, chunk.targets, ids=chunk.ids, copies=chunk.copies, first=chunk.first
        )


@asynccontextmanager
async def _indexed_afterwards(pool: Pool) -> AsyncGenerator[None]:
    """The indexes that no constraint needs are made when all rows are there: much faster, and the same in the end."""
    indexes = await pool.fetch(_SELECT_INDEXES)
    for name, _ in indexes:
        await pool.execute(f"drop index api.{name}")
    yield
    await at_once(AT_ONCE, indexes, lambda index: pool.execute(index[1]))


async def _settle(connection: Connection) -> None:
    """What a gateway and the database would have done by and by."""
    await _fold(connection)
    await connection.execute("vacuum analyze")
    await connection.execute("checkpoint")


async def _fold(connection: Connection) -> None:
    """Twice, since what is due is added up first and folded away then."""
    passed, limit = datetime.now(UTC).date() - PASSED_AFTER, 10**9
    for _ in range(2):
        await fold_document_counts(connection, limit=limit)
        await mark_lapsed(connection, passed=passed, limit=limit)
        await fold_due_counts(connection, passed=passed, limit=limit)
        await fold_client_counts(connection, limit=limit)


async def _population(
    connection: Connection, name: str, documents: int, callers: Sequence[Caller]
) -> Population:
    """With a sample of the documents of each account."""
    ids = {caller.account_id: await _sample(connection, caller.account_id) for caller in callers}
    return Population(name, documents, callers, ids)


async def _sample(connection: Connection, account_id: str) -> list[str]:
    rows = await connection.fetch(_SELECT_SAMPLE, account_id, SAMPLE)
    return sorted(row[0] for row in rows)


_SELECT_INDEXES = """
select i.indexname, i.indexdef from pg_indexes i
where i.schemaname = 'api' and i.tablename = 'documents'
    and not exists (select from pg_constraint c where c.conname = i.indexname)
"""
_SELECT_SAMPLE = "select id from api.documents where account_id = $1 order by random() limit $2"
