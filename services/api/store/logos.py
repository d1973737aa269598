"""Logos in PostgreSQL, one statement a function; one is written once and named by its SHA-256.

One that an account has replaced stays for what was sent under it, and leaves when nothing was.
"""

from datetime import datetime, timedelta

import msgspec

from shared.postgres import Connection


class LogoSize(msgspec.Struct, frozen=True):
    """In pixels."""

    width: int
    height: int


class Replaced(msgspec.Struct, frozen=True):
    """A logo that its account no longer has."""

    account_id: str
    sha256: str
    created_at: datetime
    replaced_at: datetime


async def insert_logo(
    connection: Connection, account_id: str, sha256: str, *, png: bytes, size: LogoSize, now: datetime
) -> None:
    """The same picture given again is the same logo."""
    await connection.execute(
        """
        insert into api.logos (account_id, sha256, png, width, height, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint logos_pkey do update set replaced_at = null
        """,
        account_id, sha256, png, size.width, size.height, now,
    )  # fmt: skip


async def select_logo_size(connection: Connection, account_id: str, sha256: str) -> LogoSize | None:
    row = await connection.fetchrow(
        "select width, height from api.logos where account_id = $1 and sha256 = $2", account_id, sha256
    )
    return None if row is None else LogoSize(*row)


async def select_logo(connection: Connection, account_id: str, sha256: str) -> bytes | None:
    """The logo as PNG."""
    return await connection.fetchval(
        "select png from api.logos where account_id = $1 and sha256 = $2", account_id, sha256
    )


async def mark_replaced(connection: Connection, account_id: str, sha256: str, *, now: datetime) -> None:
    await connection.execute(
        "update api.logos set replaced_at = $3 where account_id = $1 and sha256 = $2", account_id, sha256, now
    )


async def select_replaced(connection: Connection, *, after: timedelta, limit: int) -> list[Replaced]:
    """Those replaced longer ago than ``after``, but for accounts with an export under way, which may show them yet."""
    rows = await connection.fetch(
        """
        select l.account_id, l.sha256, l.created_at, l.replaced_at from api.logos l
        where l.replaced_at < now() - $1::interval and not exists (
            select from api.exports e where e.account_id = l.account_id and e.state in ('queued', 'running')
        )
        order by l.replaced_at limit $2
        """,
        after, limit,
    )  # fmt: skip
    return [Replaced(*row) for row in rows]


async def may_be_shown(
    connection: Connection, logo: Replaced, *, since: datetime, looked_at_max: int
) -> bool:
    """Whether a document changed at ``since`` or later was sent under it; yes, too, when so many were changed."""
    return await connection.fetchval(
        """
        select count(*) >= $4 or coalesce(bool_or(changed.logo = $2), false) from (
            select d.seller ->> 'logo' as logo from api.documents d
            where d.account_id = $1 and d.updated_at >= $3 order by d.updated_at limit $4
        ) as changed
        """,
        logo.account_id, logo.sha256, since, looked_at_max,
    )  # fmt: skip


async def keep_logo(connection: Connection, logo: Replaced) -> None:
    """For good, unless it was given again meanwhile."""
    await connection.execute(
        """
        update api.logos set replaced_at = null
        where account_id = $1 and sha256 = $2 and replaced_at = $3
        """,
        logo.account_id, logo.sha256, logo.replaced_at,
    )  # fmt: skip


async def delete_logo(connection: Connection, logo: Replaced) -> None:
    """Unless it was given again meanwhile."""
    await connection.execute(
        "delete from api.logos where account_id = $1 and sha256 = $2 and replaced_at = $3",
        logo.account_id, logo.sha256, logo.replaced_at,
    )  # fmt: skip
