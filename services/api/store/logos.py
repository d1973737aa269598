"""Logos in PostgreSQL, one statement a function; one is written once, kept for good, and named by its SHA-256."""

from datetime import datetime

import msgspec

from shared.postgres import Connection


class LogoSize(msgspec.Struct, frozen=True):
    """In pixels."""

    width: int
    height: int


async def insert_logo(
    connection: Connection, account_id: str, sha256: str, *, png: bytes, size: LogoSize, now: datetime
) -> None:
    """The same picture given again is the same logo."""
    await connection.execute(
        """
        insert into api.logos (account_id, sha256, png, width, height, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint logos_pkey do nothing
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
