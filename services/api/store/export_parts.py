"""The parts of exports in PostgreSQL, one statement a function; a lease says which gateway sees to a part."""

from datetime import timedelta

import msgspec

from shared.postgres import Connection


class PartRow(msgspec.Struct, frozen=True):
    """A part under this gateway's lease; with no documents it is the joining of all the others."""

    account_id: str
    export_id: str
    first: int
    count: int
    attempts: int
    format: str
    total: int
    failed: int
    time_zone: str
    document_ids: list[str]


async def insert_parts(
    connection: Connection, account_id: str, export_id: str, *, documents_max: int
) -> None:
    """Cut a new export into parts, the joining of them the last."""
    await connection.execute(
        """
        insert into api.export_parts (account_id, export_id, first, count)
        select e.account_id, e.id, f.first, least($3, e.total - f.first)
        from api.exports e
        cross join lateral (select generate_series(0, e.total - 1, $3::integer) union all select e.total) as f (first)
        where e.account_id = $1 and e.id = $2
        """,
        account_id, export_id, documents_max,
    )  # fmt: skip


async def select_parts(connection: Connection, account_id: str, export_id: str) -> list[tuple[int, int]]:
    """First document and number of documents of each part, in order, without the joining."""
    rows = await connection.fetch(
        """
        select first, count from api.export_parts
        where account_id = $1 and export_id = $2 and count > 0 order by first
        """,
        account_id, export_id,
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


async def select_faults(connection: Connection, account_id: str, export_id: str) -> list[str]:
    """The parts' faults as JSON lists, in the order of the file."""
    rows = await connection.fetch(
        """
        select faults from api.export_parts
        where account_id = $1 and export_id = $2 and failed > 0 order by first
        """,
        account_id, export_id,
    )  # fmt: skip
    return [row[0] for row in rows]


async def claim_part(
    connection: Connection, holder: str, *, lease: timedelta, parts_max: int
) -> PartRow | None:
    """The next part to see to, leased: of the export that was served longest ago, each account's oldest only.

    An export has at most ``parts_max`` parts under lease. What the snapshot shows too late is refused by the update.
    """
    row = await connection.fetchrow(
        """
        with turn as (
            select e.account_id, e.id from api.exports e
            where e.state in ('queued', 'running')
                and not exists (
                    select from api.exports o
                    where o.account_id = e.account_id and o.state in ('queued', 'running') and o.id < e.id
                )
                and (
                    select count(*) from api.export_parts p
                    where p.account_id = e.account_id and p.export_id = e.id and p.leased_until > now()
                ) < $3
                and exists (
                    select from api.export_parts p
                    where p.account_id = e.account_id and p.export_id = e.id and p.state = 'waiting'
                        and coalesce(p.leased_until, '-infinity') < now()
                        and (p.count > 0 or not exists (
                            select from api.export_parts o
                            where o.account_id = e.account_id and o.export_id = e.id
                                and o.count > 0 and o.state = 'waiting'
                        ))
                )
            order by e.served_at limit 1
            for update of e skip locked
        ), next as (
            select p.account_id, p.export_id, p.first
            from turn t join api.export_parts p on p.account_id = t.account_id and p.export_id = t.id
            where p.state = 'waiting' and coalesce(p.leased_until, '-infinity') < now()
            order by p.first limit 1
        ), served as (
            update api.exports e set served_at = clock_timestamp(), state = 'running', updated_at = now()
            from turn t where e.account_id = t.account_id and e.id = t.id
        )
        update api.export_parts p set holder = $1, leased_until = now() + $2::interval, attempts = p.attempts + 1
        from next n, api.exports e, api.accounts a
        where p.account_id = n.account_id and p.export_id = n.export_id and p.first = n.first
            and p.state = 'waiting' and coalesce(p.leased_until, '-infinity') < now()
            and e.account_id = n.account_id and e.id = n.export_id and a.id = n.account_id
        returning
            p.account_id, p.export_id, p.first, p.count, p.attempts, e.format, e.total, e.failed, a.time_zone,
            e.document_ids[p.first + 1:p.first + p.count]
        """,
        holder, lease, parts_max,
    )  # fmt: skip
    return None if row is None else PartRow(*row)


async def renew_leases(connection: Connection, holder: str, *, lease: timedelta) -> set[tuple[str, int]]:
    """The export and first document of each part that the holder still has to see to."""
    rows = await connection.fetch(
        """
        update api.export_parts p set leased_until = now() + $2::interval
        from api.exports e
        where p.holder = $1 and p.state = 'waiting'
            and e.account_id = p.account_id and e.id = p.export_id and e.state = 'running'
        returning p.export_id, p.first
        """,
        holder, lease,
    )  # fmt: skip
    return {(row[0], row[1]) for row in rows}


async def release_part(
    connection: Connection, part: PartRow, holder: str, *, pause: timedelta, counted: bool
) -> None:
    """Let anyone take the part up after a pause; one that failed by no fault of its own has not been attempted."""
    await connection.execute(
        """
        update api.export_parts
        set holder = null, leased_until = now() + $5::interval, attempts = attempts - case when $6 then 0 else 1 end
        where account_id = $1 and export_id = $2 and first = $3 and holder = $4 and state = 'waiting'
        """,
        part.account_id, part.export_id, part.first, holder, pause, counted,
    )  # fmt: skip


async def release_all(connection: Connection, holder: str) -> None:
    await connection.execute(
        """
        update api.export_parts set holder = null, leased_until = null, attempts = attempts - 1
        where holder = $1 and state = 'waiting'
        """,
        holder,
    )


async def shorten_part(connection: Connection, part: PartRow, count: int) -> bool:
    """Let the part end after ``count`` documents, taken for the first time; false when it is not as it was."""
    shortened = await connection.fetchval(
        """
        update api.export_parts set count = $5, attempts = 1
        where account_id = $1 and export_id = $2 and first = $3 and count = $4 and state = 'waiting' returning true
        """,
        part.account_id, part.export_id, part.first, part.count, count,
    )  # fmt: skip
    return shortened is not None


async def insert_part(connection: Connection, part: PartRow, count: int) -> None:
    """What a part no longer holds after ``count`` documents, as a part of its own."""
    await connection.execute(
        "insert into api.export_parts (account_id, export_id, first, count) values ($1, $2, $3, $4)",
        part.account_id,
        part.export_id,
        part.first + count,
        part.count - count,
    )


async def finish_part(connection: Connection, part: PartRow, *, failed: int, faults: str) -> bool:
    """False when it is finished, or is another part by now."""
    finished = await connection.fetchval(
        """
        update api.export_parts
        set state = 'done', holder = null, leased_until = null, failed = $5, faults = $6
        where account_id = $1 and export_id = $2 and first = $3 and count = $4 and state = 'waiting' returning true
        """,
        part.account_id, part.export_id, part.first, part.count, failed, faults,
    )  # fmt: skip
    return finished is not None
