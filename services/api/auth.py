"""API keys: how one is made and checked, and who it stands for; a principal is cached until its generation moves."""

import binascii
import hashlib
import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime

from starlette.types import Scope

from services.api.http import header
from services.api.store.keys import Principal, select_principal
from shared.errors import Problem
from shared.postgres import Connection, Pool, acquired

PREFIX = "pk_live_"
SCOPES = (
    "documents:read",
    "documents:write",
    "clients:read",
    "clients:write",
    "usage:read",
    "account:read",
    "account:write",
)
CACHED_MAX = 20_000
# A backstop only: a revoked key is refused on its next call by its account's generation.
CACHED_S = 60.0

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARS, _CHECK_CHARS = 24, 6  # 142 random bits, and a CRC-32 in base 62
_KEY_CHARS = len(PREFIX) + _RANDOM_CHARS + _CHECK_CHARS


def new_key() -> str:
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARS))
    return body + _check(body)


def hash_key(key: str) -> bytes:
    """SHA-256: enough for a secret of 142 random bits, and the only form that is stored."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def is_well_formed(key: str) -> bool:
    """Whether the key's checksum holds, so that a typo never costs a look-up."""
    return (
        len(key) == _KEY_CHARS
        and key.startswith(PREFIX)
        and key[-_CHECK_CHARS:] == _check(key[:-_CHECK_CHARS])
    )


def _check(body: str) -> str:
    number = binascii.crc32(body.encode())
    digits = ""
    for _ in range(_CHECK_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def bearer_key(scope: Scope) -> str:
    """The request's key; raises unauthorized."""
    given = header(scope, b"authorization")
    if given is None:
        raise unauthorized("Send your API key in the header: Authorization: Bearer pk_live_…")
    scheme, _, key = given.decode("latin-1").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise _malformed()
    return key.strip()


def _malformed() -> Problem:
    return unauthorized("The API key is malformed; send it as: Authorization: Bearer pk_live_…")


def unauthorized(message: str) -> Problem:
    return Problem("unauthorized", message)


class Keys:
    """Principals by key, from memory or PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._cached: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def principal(self, key: str) -> Principal:
        """Who the key stands for; raises unauthorized."""
        found = self._remembered(hash_key(key))
        if found is None:
            if not is_well_formed(key):
                raise _malformed()
            found = await self.reloaded(key)
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            raise unauthorized("The API key has expired")
        return found

    def _remembered(self, key_hash: bytes) -> Principal | None:
        entry = self._cached.get(key_hash)
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    async def reloaded(self, key: str, connection: Connection | None = None) -> Principal:
        """Who the key stands for by the database, asked over ``connection`` if one is held; raises unauthorized."""
        key_hash = hash_key(key)
        if connection is not None:
            found = await select_principal(connection, key_hash)
        else:
            async with acquired(self._pool) as own:
                found = await select_principal(own, key_hash)
        if found is None:
            self._cached.pop(key_hash, None)
            raise unauthorized("The API key is unknown, expired or revoked")
        self._cached[key_hash] = (time.monotonic() + CACHED_S, found)
        self._cached.move_to_end(key_hash)
        if len(self._cached) > CACHED_MAX:
            self._cached.popitem(last=False)
        return found
