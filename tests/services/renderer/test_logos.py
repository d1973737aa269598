"""A logo is read once while it is remembered, and what is remembered is bounded."""

import base64

import obstore
import pytest
from obstore.store import MemoryStore

from services.renderer.logos import Logos


async def test_a_logo_is_a_data_uri_and_is_read_once() -> None:
    store = MemoryStore()
    await obstore.put_async(store, "logos/one.png", b"picture")
    logos = Logos(store)
    uri = await logos.read("logos/one.png")
    assert uri == "data:image/png;base64," + base64.b64encode(b"picture").decode()
    await obstore.delete_async(store, "logos/one.png")
    assert await logos.read("logos/one.png") == uri


async def test_the_one_that_was_used_least_recently_is_dropped() -> None:
    store = MemoryStore()
    for name in "abc":
        await obstore.put_async(store, name, name.encode() * 600)
    logos = Logos(store, kept_bytes_max=2000)
    for name in ("a", "b", "a", "c"):
        await logos.read(name)
    for name in "abc":
        await obstore.delete_async(store, name)
    await logos.read("a")
    await logos.read("c")
    with pytest.raises(FileNotFoundError):
        await logos.read("b")


async def test_a_logo_that_is_not_there_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        await Logos(MemoryStore()).read("logos/absent.png")
