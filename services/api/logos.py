"""Logos: drawn anew by a process of its own, and laid into the object store before a renderer asks for one."""

import asyncio
import hashlib
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec
import obstore
import structlog
from obstore.store import ObjectStore

from services.api.store.logos import LogoSize, select_logo
from shared.errors import Problem
from shared.objects import put_once
from shared.postgres import Pool, acquired

MEDIA_TYPES = ("image/png", "image/jpeg", "image/svg+xml")
DRAWING = Path(__file__).with_name("drawing.py")
REFUSED = 3
DRAW_S = 20.0
TURN_S = 10.0  # more than this behind others, and the caller had better come again
# An idempotent request holds a connection to the database while it waits, and most are to be left to others.
WAITING_MAX = 4

log = structlog.get_logger()


class Logo(msgspec.Struct, frozen=True):
    png: bytes
    sha256: str
    size: LogoSize


class Logos:
    """Draws one at a time, so that pictures take at most one core of the gateway's."""

    def __init__(self, pool: Pool, store: ObjectStore) -> None:
        self._pool = pool
        self._store = store
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def draw(self, data: bytes, media_type: str) -> Logo:
        """The picture as a PNG of our own; raises validation_error or unavailable."""
        await self._wait_for_turn()
        try:
            png = await _drawn(data, media_type)
        finally:
            self._turn.release()
        return Logo(png, hashlib.sha256(png).hexdigest(), _size(png))

    async def _wait_for_turn(self) -> None:
        if self._waiting >= WAITING_MAX:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_S):
                await self._turn.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1

    async def place(self, path: str) -> None:
        """Have the logo of this path in the object store, from the database if need be."""
        try:
            await obstore.head_async(self._store, path)
        except FileNotFoundError:
            _, account_id, name = path.split("/")
            async with acquired(self._pool) as connection:
                png = await select_logo(connection, account_id, name.removesuffix(".png"))
            if png is not None:
                await put_once(self._store, path, png)


def logo_path(account_id: str, sha256: str | None) -> str:
    """Where a renderer finds the logo in the object store; empty when there is none."""
    return f"logo/{account_id}/{sha256}.png" if sha256 else ""


async def _drawn(data: bytes, media_type: str) -> bytes:
    """What the drawing process makes of it; it is given no variable of ours, for these hold secrets."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(DRAWING), media_type, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={}
    )
    try:
        async with asyncio.timeout(DRAW_S):
            told, cause = await process.communicate(data)
    except TimeoutError:
        raise _refused("It takes too long to draw") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == REFUSED:
        raise _refused(told.decode())
    if process.returncode != 0:
        log.warning("logo_not_drawn", code=process.returncode, cause=cause.decode(errors="replace")[-500:])
        raise _refused("It is damaged, or too much to draw")
    return told


def _refused(sentence: str) -> Problem:
    return Problem("validation_error", f"The logo cannot be used: {sentence}", {"logo": sentence})


def _busy() -> Problem:
    return Problem("unavailable", "Other logos are being drawn right now; try again", retry_after_s=5)


def _size(png: bytes) -> LogoSize:
    """By the header that every PNG begins with."""
    return LogoSize(int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
