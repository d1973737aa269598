"""The ledger in Postgres, schema `metering`: one function per statement, the connection first."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from services.metering.limits import DEFAULT_PLAN, Limits, Overrides, Period, limits_of
from shared.postgres import Connection

# The first number of our advisory locks, so that nobody else's are taken for them.
_HAND_OVER_LOCK = 0x696E7601
_OWNER_LOCK = 0x696E7602
# Of one statement: every id that something was admitted under is a fence.
FENCES_PURGED = 10_000


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account's plan and what it may use; version 0 is one that the ledger does not know."""

    plan: str = DEFAULT_PLAN
    overrides: Overrides = Overrides()
    version: int = 0

    @property
    def limits(self) -> Limits:
        return limits_of(self.plan, self.overrides)


class Used(msgspec.Struct, frozen=True):
    api_calls: int
    documents: int


class UsageRow(msgspec.Struct, frozen=True, order=True):
    account_id: str
    metric: str
    hour: datetime
    amount: int


async def select_account(connection: Connection, account_id: str) -> Account:
    row = await connection.fetchrow(
        "select plan, overrides, version from metering.accounts where account_id = $1", account_id
    )
    if row is None:
        return Account()
    return Account(plan=row[0], overrides=msgspec.json.decode(row[1], type=Overrides), version=row[2])


async def select_accounts(connection: Connection, account_ids: Sequence[str]) -> dict[str, Account]:
    """One for each id, as ``select_account`` has it."""
    rows = await connection.fetch(
        "select account_id, plan, overrides, version from metering.accounts where account_id = any($1::text [])",
        account_ids,
    )
    found = {
        row[0]: Account(plan=row[1], overrides=msgspec.json.decode(row[2], type=Overrides), version=row[3])
        for row in rows
    }
    return {account_id: found.get(account_id, Account()) for account_id in account_ids}


async def upsert_account(
    connection: Connection, account_id: str, *, plan: str, overrides: Overrides | None
) -> Account:
    """Overrides of None leave the account's as they are."""
    row = await connection.fetchrow(
        """
        insert into metering.accounts as held (account_id, plan, overrides) values ($1, $2, coalesce($3::jsonb, '{}'))
        on conflict on constraint accounts_pkey do update
        set plan = excluded.plan, overrides = coalesce($3::jsonb, held.overrides),
            version = held.version + 1, updated_at = now()
        returning plan, overrides, version
        """,
        account_id,
        plan,
        None if overrides is None else msgspec.json.encode(overrides).decode(),
    )
    assert row is not None  # noqa: S101 - the statement always returns its row
    return Account(plan=row[0], overrides=msgspec.json.decode(row[1], type=Overrides), version=row[2])


async def select_used(connection: Connection, account_id: str, period: Period) -> Used:
    row = await connection.fetchrow(
        """
        select coalesce(sum(amount) filter (where metric = 'api_calls'), 0)::bigint as api_calls,
               coalesce(sum(amount) filter (where metric = 'documents'), 0)::bigint as documents
        from metering.usage
        where account_id = $1 and metric in ('api_calls', 'documents') and hour >= $2 and hour < $3
        """,
        account_id,
        period.start,
        period.end,
    )
    return Used(*row) if row else Used(0, 0)


async def select_used_of(connection: Connection, periods: Mapping[str, Period]) -> dict[str, Used]:
    """What each account has used in its period."""
    rows = await connection.fetch(
        """
        select given.account_id,
               coalesce(sum(u.amount) filter (where u.metric = 'api_calls'), 0)::bigint,
               coalesce(sum(u.amount) filter (where u.metric = 'documents'), 0)::bigint
        from unnest($1::text [], $2::timestamptz [], $3::timestamptz []) as given (account_id, starts, ends)
        left join metering.usage u on u.account_id = given.account_id
            and u.metric in ('api_calls', 'documents') and u.hour >= given.starts and u.hour < given.ends
        group by given.account_id
        """,
        list(periods),
        [period.start for period in periods.values()],
        [period.end for period in periods.values()],
    )
    return {row[0]: Used(row[1], row[2]) for row in rows}


async def add_usage(connection: Connection, rows: Iterable[UsageRow]) -> None:
    """Add each row's amount to what the ledger has; no two rows of a call are for the same sum."""
    columns = [*zip(*(msgspec.structs.astuple(row) for row in sorted(rows)), strict=True)]
    await connection.execute(
        """
        insert into metering.usage as held (account_id, metric, hour, amount)
        select account_id, metric, hour, amount
        from unnest($1::text [], $2::text [], $3::timestamptz [], $4::bigint [])
            as given (account_id, metric, hour, amount)
        on conflict on constraint usage_pkey do update set amount = held.amount + excluded.amount
        """,
        *columns,
    )


async def lock_hand_over(connection: Connection, shard: int) -> None:
    """Hold the shard's hand-over until the transaction ends: nobody else reads its stream or seeds from it."""
    await connection.execute("select pg_advisory_xact_lock($1, $2)", _HAND_OVER_LOCK, shard)


async def try_own_shard(connection: Connection, shard: int) -> bool:
    """Own the shard's stream until the connection ends; False when another process does."""
    return await connection.fetchval("select pg_try_advisory_lock($1, $2)", _OWNER_LOCK, shard)


async def select_fences(connection: Connection, shard: int, producers: Collection[str]) -> dict[str, int]:
    rows = await connection.fetch(
        "select producer, seq from metering.fences where shard = $1 and producer = any($2::text [])",
        shard,
        producers,
    )
    return {row[0]: row[1] for row in rows}


async def advance_fences(connection: Connection, shard: int, fences: dict[str, int]) -> None:
    await connection.execute(
        """
        insert into metering.fences as held (producer, shard, seq)
        select producer, $1, seq from unnest($2::text [], $3::bigint []) as given (producer, seq) order by producer
        on conflict on constraint fences_pkey do update set seq = excluded.seq, updated_at = now()
        where held.seq < excluded.seq
        """,
        shard,
        list(fences),
        list(fences.values()),
    )


async def delete_fences(connection: Connection, shard: int, *, before: datetime) -> int:
    """How many went; at most FENCES_PURGED, so that it never takes long."""
    done = await connection.execute(
        """
        delete from metering.fences where ctid = any(array(
            select ctid from metering.fences where shard = $1 and updated_at < $2 limit $3
        ))
        """,
        shard,
        before,
        FENCES_PURGED,
    )
    return int(done.rpartition(" ")[2])


async def insert_events(connection: Connection, event_ids: Sequence[str]) -> list[str]:
    """The ids that are new, in order; one that another transaction brings at the same time is waited for."""
    rows = await connection.fetch(
        """
        insert into metering.events (id) select id from unnest($1::text []) as given (id)
        on conflict on constraint events_pkey do nothing
        returning id
        """,
        event_ids,
    )
    return [row[0] for row in rows]


async def delete_events(connection: Connection, *, before: datetime) -> None:
    """At most 10,000 of them, the oldest first, so that it never takes long."""
    await connection.execute(
        """
        delete from metering.events where id in (
            select id from metering.events where received_at < $1 order by received_at limit 10000
        )
        """,
        before,
    )


async def upsert_dirty(connection: Connection, account_ids: Sequence[str]) -> None:
    """Mark the accounts; a row that is there is locked, so that it cannot be cleaned before this commits."""
    await connection.execute(
        """
        insert into metering.dirty_accounts (account_id)
        select account_id from unnest($1::text []) as given (account_id)
        on conflict on constraint dirty_accounts_pkey do update set marked_at = now()
        """,
        account_ids,
    )


async def select_dirty(connection: Connection) -> list[str]:
    """The accounts that have been dirty longest, at most 10,000."""
    rows = await connection.fetch(
        "select account_id from metering.dirty_accounts order by marked_at limit 10000"
    )
    return [row[0] for row in rows]


async def select_dirty_since(connection: Connection) -> tuple[int, datetime | None]:
    """How many accounts are dirty, and since when the first of them is."""
    row = await connection.fetchrow("select count(*), min(marked_at) from metering.dirty_accounts")
    return (row[0], row[1]) if row else (0, None)


async def delete_dirty(connection: Connection, account_ids: Sequence[str]) -> list[str]:
    """Those of the accounts that were dirty."""
    rows = await connection.fetch(
        """
        delete from metering.dirty_accounts where account_id in (
            select account_id from metering.dirty_accounts
            where account_id = any($1::text []) order by account_id for update
        )
        returning account_id
        """,
        account_ids,
    )
    return [row[0] for row in rows]


async def is_migrated(connection: Connection) -> bool:
    return await connection.fetchval("select to_regclass('metering.service_tokens') is not null")
