"""A database as it is after years: a million documents of one account among those of others, made in seconds.

What a row costs to write is left out while they are written: triggers, WAL, indexes, and words of a search.
"""

import asyncio
from collections.abc import Sequence
from datetime import date

import asyncpg

DOCUMENTS = 1_000_000
OTHERS = 20_000
BIG = "acct_00064400000000" + "0" * 12 + "12345678"
# The day of the newest documents. They are due 14 to 30 days after they were issued, and most of the old ones are paid.
TODAY = date(2024, 12, 22)
FIRST_DAY = date(2022, 3, 8)
PER_DAY = 1_000
# What has come due since then is not marked as lapsed yet.
SWEPT = date(2024, 12, 20)
CLIENTS = 1_000
EXPORTS = 50_000

# Two words a document, as quick as can be; see search_words in the migrations.
QUICK_WORDS = """
create or replace function api.search_words(account text, given text) returns tsvector
language sql immutable strict parallel safe
return array_to_tsvector(array[right(account, 8) || 'common', right(account, 8) || 'w' || right(given, 4)])
"""
FILL = """
insert into api.documents (
    account_id, id, type, number, status, client_id, client, currency, issued_date, due_date, items, subtotal, tax_rate,
    tax_amount, total, notes, template, created_at, updated_at, body, external_id, lapsed
)
select
    case when i % 51 = 0 then 'acct_' || lpad((i % 1020)::text, 34, '9') else $1 end,
    'doc_' || lpad(to_hex(i), 34, '0'),
    (array['invoice', 'invoice', 'invoice', 'quote', 'receipt'])[1 + i / 10 % 5],
    case when s.status in ('sent', 'paid') then 'INV-2025-' || lpad(i::text, greatest(6, length(i::text)), '0') end,
    s.status,
    'cl_' || lpad(to_hex(i / 10 * 7919 % $5), 34, '0'), '{"name": "Acme"}',
    case when i > $2 - 300 then 'JPY' when i < 40 then 'KWD' else 'USD' end,
    s.issued_date, s.due_date,
    '[]', 1, 0, 0, i * 7919 % 100003, lpad((i % 5000)::text, 4, '0'), 'clean',
    $3::date + (i || ' seconds')::interval, $3::date + (i || ' seconds')::interval, '{}',
    case when i % 1000 = 0 then 'order ' || i end, coalesce(s.status = 'sent' and s.due_date < $6::date, false)
from generate_series(1::bigint, $2::bigint) i
cross join lateral (select $3::date + (i / $4)::int as issued_date) issued
cross join lateral (
    select issued.issued_date, case when i % 7 > 0 then issued.issued_date + 14 + (i % 17)::int end as due_date
) dated
cross join lateral (
    select dated.issued_date, dated.due_date,
        case
            when i % 10 = 8 then 'draft'
            when i % 10 = 9 then 'cancelled'
            when dated.issued_date > $6::date - 14 or i % 10 = 0 then 'sent'
            else 'paid'
        end as status
) s
"""
CLIENTS_FILL = """
insert into api.clients (account_id, id, profile, created_at, updated_at)
select
    case when i % 51 = 0 then 'acct_other' else $1 end, 'cl_' || lpad(to_hex(i), 34, '0'), '{"name": "Acme"}', now(),
    now()
from generate_series(0, 100000) i
"""
EXPORTS_FILL = """
insert into api.exports (
    account_id, id, state, format, ordered, document_ids, total, created_at, updated_at, served_at
)
select
    case when i % 51 = 0 then 'acct_other' else $1 end, 'exp_' || lpad(to_hex(i), 34, '0'), 'expired', 'zip', 'newest',
    '{}', 0, now(), now(), now()
from generate_series(1, $2::bigint) i
"""
COUNTS = (
    """
    insert into api.document_counts (account_id, type, status, backend, amount)
    select account_id, type, status, 0, count(*) from api.documents group by account_id, type, status
    """,
    """
    insert into api.due_counts (account_id, type, due_date, backend, amount)
    select account_id, type, case when lapsed then '-infinity' else due_date end, 0, count(*) from api.documents
    where status = 'sent' and due_date is not null group by 1, 2, 3
    """,
    """
    insert into api.client_counts (account_id, backend, amount)
    select account_id, 0, count(*) from api.clients group by account_id
    """,
    # Those of many accounts that have nothing else here.
    """
    insert into api.document_counts (account_id, type, status, backend, amount)
    select 'acct_x' || i, k, s, 0, 1 from generate_series(1, 5000) i, unnest(array['invoice', 'quote']) k,
        unnest(array['sent', 'paid', 'draft']) s
    """,
    """
    insert into api.due_counts (account_id, type, due_date, backend, amount)
    select 'acct_x' || i, 'invoice', $$2025-01-01$$::date + d, 0, 1
    from generate_series(1, 5000) i, generate_series(1, 5) d
    """,
    """
    insert into api.client_counts (account_id, backend, amount)
    select 'acct_x' || i, 0, 1 from generate_series(1, 20000) i
    """,
)
INDEXES = """
select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), c.conname, pg_get_constraintdef(c.oid)
from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
where i.indrelid = 'api.documents'::regclass order by pg_get_indexdef(i.indexrelid) like '%gin%' desc
"""
QUICK = """
set session_replication_role = replica; set maintenance_work_mem = '400MB'; set synchronous_commit = off; set jit = off
"""


async def fill(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute(QUICK)
        await connection.execute("alter table api.documents set unlogged")
        words = await connection.fetchval("select pg_get_functiondef('api.search_words'::regproc)")
        rebuilt = await _without_indexes(connection)
        await connection.execute(QUICK_WORDS)
        await connection.execute(FILL, BIG, DOCUMENTS + OTHERS, FIRST_DAY, PER_DAY, CLIENTS, SWEPT)
        await connection.execute(words)
        await connection.execute(CLIENTS_FILL, BIG)
        await connection.execute(EXPORTS_FILL, BIG, EXPORTS)
        await asyncio.gather(*(_run(url, rebuilt[at::2]) for at in range(2)))
        for statement in COUNTS:
            await connection.execute(statement)
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


async def _without_indexes(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """The statements that make the table's indexes again."""
    rebuilt: list[str] = []
    for name, definition, constraint, constrains in await connection.fetch(INDEXES):
        if constraint is None:
            await connection.execute(f"drop index {name}")
            rebuilt.append(definition)
        else:
            await connection.execute(f"alter table api.documents drop constraint {constraint}")
            index = definition.replace(" ONLY ", " ")
            kind = "primary key" if constrains.startswith("PRIMARY") else "unique"
            rebuilt.append(
                f"{index}; alter table api.documents add constraint {constraint} {kind} using index {constraint}"
            )
    return rebuilt


async def _run(url: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(QUICK)
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
