"""Documents that lie there before a clock starts: some posted through a gateway, many more copied from them by SQL."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from load import Caller, Kind, Line, open_line

from services.api.auth import SCOPES, hash_key, new_key
from services.api.store.ids import new_id
from shared.postgres import Connection
from tests.bench.ways import at_once

POSTING = 8
CLIENTS = 20
TYPES = ("invoice",) * 12 + ("quote",) * 3 + ("estimate",) * 2 + ("receipt",) * 2 + ("purchase_order",)
STATUSES = ("draft",) * 3 + ("sent",) * 4 + ("overdue",) * 2 + ("paid",) * 9 + ("cancelled",) * 2
CURRENCIES = ("USD", "USD", "USD", "EUR", "EUR", "GBP", "JPY")
# What becomes of a document after it was posted as sent.
MOVES = {"paid": "pay", "cancelled": "cancel"}
DUE_DAYS = 300
# Which are asked after at every call and never met.
LIMITS = {"burst_per_min": 6_000_000, "api_calls": 1_000_000_000, "documents": 1_000_000_000}


def request_body(client_id: str, number: int) -> dict[str, Any]:
    """A document of three lines, whose type, status, currency and dates follow from its number."""
    issued, due = _dates(number)
    return {
        "type": TYPES[number % len(TYPES)],
        "status": "draft" if status_of(number) == "draft" else "sent",
        "client_id": client_id,
        "currency": CURRENCIES[number % len(CURRENCIES)],
        "issued_date": issued,
        "due_date": due,
        "items": [
            {"title": "Website design", "description": "Twelve page templates", "quantity": 1, "rate": 5000},
            {"title": "Front-end development", "quantity": 36 + number % 9, "rate": 110},
            {"title": "Hosting, annual", "description": "March to February", "quantity": 12, "rate": "49.9"},
        ],
        "tax_rate": 10,
        "notes": "Please pay by bank transfer within 30 days and quote the invoice number.",
    }


def status_of(number: int) -> str:
    """As a list shows it."""
    return STATUSES[(7 * number + number // len(TYPES)) % len(STATUSES)]


def _dates(number: int) -> tuple[date, date]:
    """Issued and due, so that an overdue one is overdue and no other will be for a month."""
    days = number % DUE_DAYS
    late = status_of(number) == "overdue"
    due = datetime.now(UTC).date() + timedelta(days=-2 - days if late else 30 + days)
    return due - timedelta(days=30 + (0 if late else DUE_DAYS)), due


async def post_documents(
    gateway: str,
    caller: Caller,
    count: int,
    *,
    body: Callable[[str, int], dict[str, Any]] = request_body,
    status: Callable[[int], str] = status_of,
) -> list[str]:
    """Their ids; the caller gets the first of its clients and of its documents."""
    line = await open_line(gateway)
    clients = [await _posted(line, caller, "/v1/clients", client_body(number)) for number in range(CLIENTS)]
    line.close()

    async def post(number: int) -> str:
        own = await open_line(gateway)
        found = await _posted(own, caller, "/v1/documents", body(clients[number % CLIENTS], number))
        if move := MOVES.get(status(number)):
            assert await own.call(caller, _post(f"/v1/documents/{found}/{move}")) == 200, own.body
        own.close()
        return found

    documents = await at_once(POSTING, range(count), post)
    caller.client_id, caller.document_id = clients[0], documents[0]
    return documents


def client_body(number: int) -> dict[str, str]:
    return {
        "name": f"Acme Corporation {number}",
        "email": f"payables{number}@client.example",
        "address_line1": f"{100 + number} Park Avenue",
        "city": "New York",
        "country": "United States",
    }


async def _posted(line: Line, caller: Caller, path: str, body: dict[str, Any]) -> str:
    assert await line.call(caller, _post(path, msgspec.json.encode(body))) == 201, line.body
    return msgspec.json.decode(line.body)["id"]


def _post(path: str, body: bytes = b"") -> Kind:
    return Kind("POST", lambda _: path, lambda _: body)


async def insert_accounts(connection: Connection, count: int) -> list[Caller]:
    """Accounts with a key each and the same limits, all at once: one by one they would take minutes."""
    callers = [Caller(new_id("acct"), new_key()) for _ in range(count)]
    accounts = [caller.account_id for caller in callers]
    await connection.execute(_INSERT_ACCOUNTS, accounts)
    await connection.execute(_INSERT_PLANS, accounts, msgspec.json.encode(LIMITS).decode())
    keys = [hash_key(caller.key) for caller in callers]
    await connection.execute(_INSERT_KEYS, [new_id("key") for _ in callers], accounts, keys, list(SCOPES))
    return callers


async def copy_clients(connection: Connection, source: str, targets: Sequence[str]) -> None:
    """Under their own ids, so that the copies of documents name them."""
    await connection.execute(_COPY_CLIENTS, source, targets)


async def copied_drafts(
    database_url: str, account_id: str, draft: str, *, copies: int, first: int
) -> list[str]:
    """The ids of so many more drafts like one of the account's; ``first`` is how many copies there are already."""
    connection = await asyncpg.connect(database_url)
    try:
        return await copy_documents(
            connection, account_id, [account_id], ids=[draft], copies=copies, first=first
        )
    finally:
        await connection.close()


async def copy_documents(
    connection: Connection,
    source: str,
    targets: Sequence[str],
    *,
    ids: Sequence[str],
    copies: int,
    first: int = 0,
) -> list[str]:
    """So many copies of each of the source's documents to each target: under new ids and with numbers of their own.

    ``first`` is how many copies there are already.
    """
    rows = await connection.fetch(_COPY_DOCUMENTS, source, targets, ids, first, first + copies - 1)
    return [row[0] for row in rows]


_INSERT_ACCOUNTS = """
insert into api.accounts (id, name, currency, template, time_zone, profile)
select id, 'Studio', 'USD', 'clean', 'UTC', '{"name": "Studio"}' from unnest($1::text []) as given (id)
"""
_INSERT_PLANS = """
insert into metering.accounts (account_id, plan, overrides)
select id, 'enterprise', $2::jsonb from unnest($1::text []) as given (id)
"""
_INSERT_KEYS = """
insert into api.keys (id, account_id, hash, scopes)
select id, account_id, hash, $4::text []
from unnest($1::text [], $2::text [], $3::bytea []) as given (id, account_id, hash)
"""
_COPY_CLIENTS = """
insert into api.clients (account_id, id, profile, created_at, updated_at)
select t.account_id, c.id, c.profile, c.created_at, c.updated_at
from api.clients c cross join unnest($2::text []) as t (account_id)
where c.account_id = $1
"""
# An id is the microsecond of a creation, here one of last year's, and chance: the copies of each document lie together,
# in the order of the documents that are copied. The numbers go on where others end.
_COPY_DOCUMENTS = """
insert into api.documents (
    account_id, id, type, number, status, client_id, client, seller, currency, issued_date, due_date, items,
    subtotal, tax_rate, tax_amount, total, notes, template, locale, page_size, metadata, created_at, updated_at, body,
    lapsed
)
select
    n.account_id, n.id, d.type, n.number, d.status, d.client_id, d.client, d.seller, d.currency, d.issued_date,
    d.due_date, d.items, d.subtotal, d.tax_rate, d.tax_amount, d.total, d.notes, d.template, d.locale, d.page_size,
    d.metadata, d.created_at, d.updated_at,
    replace(replace(d.body, d.id, n.id), coalesce(d.number, ''), coalesce(n.number, '')),
    d.lapsed
from (
    select
        t.account_id, s.id as source_id,
        'doc_' || lpad(to_hex(1735689600000000 + s.place * 1000000000 + c.copy * 1000), 14, '0')
        || substr(md5(random()::text), 1, 20) as id,
        substring(d.number, '^.*-') || (1000000 + s.place * 10000 + c.copy) as number
    from unnest($3::text []) with ordinality as s (id, place)
    join api.documents d on d.account_id = $1 and d.id = s.id
    cross join unnest($2::text []) as t (account_id)
    cross join generate_series($4::bigint, $5::bigint) as c (copy)
) n
join api.documents d on d.account_id = $1 and d.id = n.source_id
order by n.account_id, n.id
returning id
"""
