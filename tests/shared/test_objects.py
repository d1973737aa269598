from collections.abc import AsyncIterator

import pytest
from obstore.store import ObjectStore

from shared import objects


@pytest.fixture
def store(object_url: str) -> ObjectStore:
    return objects.open_store(object_url)


async def test_what_is_put_is_read_whole(store: ObjectStore) -> None:
    data = bytes(range(256)) * 50_000
    await objects.put_once(store, "a/b.pdf", data)
    assert await _read(store, "a/b.pdf") == (len(data), data)


async def test_the_first_writer_wins(store: ObjectStore) -> None:
    await objects.put_once(store, "a.pdf", b"first")
    await objects.put_once(store, "a.pdf", b"second")
    assert await _read(store, "a.pdf") == (5, b"first")


async def test_what_is_not_there_is_none(store: ObjectStore) -> None:
    assert await objects.read(store, "none.pdf") is None


async def test_deleting_a_folder_leaves_its_neighbours(store: ObjectStore) -> None:
    for path in ("pdf/doc_1/a.pdf", "pdf/doc_1/b.pdf", "pdf/doc_11/a.pdf"):
        await objects.put_once(store, path, b"x")
    await objects.delete_under(store, "pdf/doc_1")
    assert await objects.read(store, "pdf/doc_1/a.pdf") is None
    assert await objects.read(store, "pdf/doc_1/b.pdf") is None
    assert await objects.read(store, "pdf/doc_11/a.pdf") is not None


async def test_deleting_what_is_not_there_is_no_error(store: ObjectStore) -> None:
    await objects.delete_under(store, "pdf/doc_1")


async def _read(store: ObjectStore, path: str) -> tuple[int, bytes]:
    found = await objects.read(store, path)
    assert found is not None
    size_bytes, chunks = found
    return size_bytes, await _joined(chunks)


async def _joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
