"""Service tokens: what other services show to metering. Each has a name, is kept as a hash, and can be revoked."""

import hashlib
import re
import secrets
from datetime import datetime

import msgspec
from asyncpg.exceptions import UniqueViolationError

from shared.errors import Problem
from shared.postgres import Connection

# The one that metering is started with, and that therefore works before any other is made.
ENVIRONMENT = "environment"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_TOKEN = re.compile(r"st_live_[A-Za-z0-9_-]{43}", re.ASCII)


class TokenRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def is_token(text: str) -> bool:
    """Has the form of a token that was made here, so that it is worth a look."""
    return _TOKEN.fullmatch(text) is not None


async def create_token(connection: Connection, name: str) -> tuple[str, str]:
    """The new token's id, and the token, which cannot be had again; raises validation_error."""
    if not _NAME.fullmatch(name) or name == ENVIRONMENT:
        raise _refused(name, "Must be 1 to 64 of a-z, 0-9, - and _, and not environment")
    token, token_id = f"st_live_{secrets.token_urlsafe(32)}", f"tok_{secrets.token_hex(12)}"
    try:
        await insert_token(connection, token_id, name, hash_token(token))
    except UniqueViolationError:
        raise _refused(name, "A live token has this name; revoke it first, or choose another") from None
    return token_id, token


async def insert_token(connection: Connection, token_id: str, name: str, token_hash: bytes) -> None:
    await connection.execute(
        "insert into metering.service_tokens (id, name, hash) values ($1, $2, $3)", token_id, name, token_hash
    )


async def select_token_name(connection: Connection, token_hash: bytes) -> str | None:
    """The name of the live token with this hash."""
    return await connection.fetchval(
        "select name from metering.service_tokens where hash = $1 and revoked_at is null", token_hash
    )


async def select_tokens(connection: Connection) -> list[TokenRow]:
    """All, also revoked ones, oldest first."""
    rows = await connection.fetch(
        "select id, name, created_at, revoked_at from metering.service_tokens order by created_at, id"
    )
    return [TokenRow(*row) for row in rows]


async def revoke_token(connection: Connection, name: str) -> str | None:
    """The id of the live token of this name, which is refused from its next call on; None when there is none."""
    return await connection.fetchval(
        """
        update metering.service_tokens set revoked_at = now() where name = $1 and revoked_at is null
        returning id
        """,
        name,
    )


def _refused(name: str, sentence: str) -> Problem:
    return Problem(
        "validation_error", f"The name {name[:100]!r} cannot be given: {sentence}", {"name": sentence}
    )
