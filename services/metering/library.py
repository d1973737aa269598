"""The Redis Function library: its source, its revision, and keeping the newest one loaded, also in a new Redis."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.metering.stores import send
from shared.redis import nodes_of

NAME = "invouno_meter_v1"
PARTS = ("admission.lua", "deciding.lua", "counters.lua")
SEED_FUNCTION = "invouno_seed_v1"
LIMITS_FUNCTION = "invouno_limits_v1"
GENERATION_FUNCTION = "invouno_generation_v1"
FORGET_FUNCTION = "invouno_forget_v1"
LIVE_FUNCTION = "invouno_live_v1"
_REVISION = re.compile(rb"^-- revision (\d+)$", re.MULTILINE)


class Library(msgspec.Struct, frozen=True):
    source: bytes
    revision: int


def read_library() -> Library:
    folder = Path(__file__).parent
    source = b"\n".join((folder / part).read_bytes() for part in PARTS)
    return Library(source, _revision(source))


async def ensure_library(redis: Redis, library: Library) -> bool:
    """Load the library on every node unless it has this revision or a newer one; True when it was loaded on any.

    So processes of two releases do not replace one another's: the newer stays, whoever looks last. Raises what a node
    that is away raises, once the others have been seen to.
    """
    loads = (_ensure_on(node, library) for node in await nodes_of(redis))
    results = await asyncio.gather(*loads, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return any(results)


async def _ensure_on(node: Redis, library: Library) -> bool:
    held = await _revision_on(node)
    if held is not None and held >= library.revision:
        return False
    replace = () if held is None else ("REPLACE",)
    try:
        await send(node, "FUNCTION LOAD", *replace, library.source)
    except ResponseError as error:
        if held is None and "already exists" in str(error):
            return False  # another process came first; if its revision is older, the next look replaces it
        raise
    return True


async def call_function(redis: Redis, name: str, key: str, *arguments: int) -> Any:
    """Call one of the library's functions on one key; a Redis without the library gets it first."""
    return await call_on_keys(redis, name, [key], *arguments)


async def call_on_keys(redis: Redis, name: str, keys: Sequence[str], *arguments: int) -> Any:
    """The same on several keys, all of one shard."""
    (reply,) = await call_many(redis, [(name, len(keys), *keys, *arguments)])
    return reply


async def call_many(redis: Redis, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Calls that may be repeated, each a function's name, its number of keys, keys and arguments, in one round trip."""
    try:
        return await _pipelined(redis, calls)
    except ResponseError as error:
        if not is_missing_function(error):
            raise
    await ensure_library(redis, read_library())
    return await _pipelined(redis, calls)


async def _pipelined(redis: Redis, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    pipeline = redis.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command("FCALL", *call)
    return await pipeline.execute()


def is_missing_function(error: ResponseError) -> bool:
    return "Function not found" in str(error)


async def revision_of(redis: Redis) -> int | None:
    """The oldest revision that a node of Redis has loaded, None when one has none."""
    revisions = [await _revision_on(node) for node in await nodes_of(redis)]
    return None if None in revisions else min(revision for revision in revisions if revision is not None)


async def _revision_on(node: Redis) -> int | None:
    listed = await send(node, "FUNCTION LIST", "LIBRARYNAME", NAME, "WITHCODE")
    return (
        _revision(dict(zip(listed[0][::2], listed[0][1::2], strict=True))[b"library_code"])
        if listed
        else None
    )


def _revision(source: bytes) -> int:
    found = _REVISION.search(source)
    return int(found[1]) if found else 0
