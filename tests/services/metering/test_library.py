import asyncio
import hashlib

import msgspec
import pytest

from services.metering.counters import publish_key_generation
from services.metering.library import Library, ensure_library, read_library, revision_of
from services.metering.stores import Stores, send


@pytest.fixture
def database_url() -> str:
    """These tests need no ledger."""
    return "postgresql://nobody@127.0.0.1:1/none"


def test_a_changed_library_has_a_new_revision() -> None:
    """After a change, raise the revision in admission.lua and put both values here."""
    library = read_library()
    assert (library.revision, hashlib.sha256(library.source).hexdigest()[:16]) == (8, "02bda4f384605763")


async def test_an_empty_redis_gets_the_library_once(meter: Stores) -> None:
    await send(meter.redis, "FUNCTION FLUSH")
    assert await revision_of(meter.redis) is None
    assert await ensure_library(meter.redis, read_library())
    assert not await ensure_library(meter.redis, read_library())


async def test_many_processes_may_load_it_at_once(meter: Stores) -> None:
    await send(meter.redis, "FUNCTION FLUSH")
    await asyncio.gather(*(ensure_library(meter.redis, read_library()) for _ in range(20)))
    assert await revision_of(meter.redis) == read_library().revision


async def test_an_older_release_does_not_replace_a_newer_one(meter: Stores) -> None:
    newer = _revised(read_library(), 999)
    try:
        assert await ensure_library(meter.redis, newer)
        assert not await ensure_library(meter.redis, read_library())
        assert await revision_of(meter.redis) == 999
    finally:
        await send(meter.redis, "FUNCTION DELETE", "invouno_meter_v1")


async def test_a_call_to_a_missing_function_loads_it_first(meter: Stores) -> None:
    await send(meter.redis, "FUNCTION FLUSH")
    await publish_key_generation(meter.redis, "acct_one", 4)
    assert await revision_of(meter.redis) == read_library().revision


def _revised(library: Library, revision: int) -> Library:
    old = f"-- revision {library.revision}\n".encode()
    assert old in library.source
    source = library.source.replace(old, f"-- revision {revision}\n".encode())
    return msgspec.structs.replace(library, source=source, revision=revision)
