"""The object store: a folder by default, S3, GCS or Azure by URL; objects are written once and never changed."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, from_url

if TYPE_CHECKING:
    from obstore.store import RetryConfig

REQUEST_TIMEOUT = timedelta(seconds=10)
SENT_BYTES = 8 * 1024 * 1024  # at least 5 MiB, by S3's rule for an object that is sent in pieces
# What a download holds, twice: large enough to be worth a request to a store that is far away.
READ_BYTES = 2 * 1024 * 1024
# A store that is away is said to be away while its caller still waits.
RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=5)}


def open_store(url: str) -> ObjectStore:
    """``file:///folder`` (made when absent), or any URL that obstore knows, its credentials in its own variables."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(prefix=folder)
    return from_url(url, client_options={"timeout": REQUEST_TIMEOUT}, retry_config=RETRIES)


async def put_once(store: ObjectStore, path: str, data: bytes) -> None:
    """Write the object unless it is there already; the first writer wins."""
    try:
        await obstore.put_async(store, path, data, mode="create")
    except AlreadyExistsError:
        return


async def read(store: ObjectStore, path: str) -> tuple[int, AsyncIterator[bytes]] | None:
    """The object's size in bytes and its chunks, or None when there is none."""
    try:
        found = await obstore.get_async(store, path)
    except FileNotFoundError:
        return None
    return found.meta["size"], _chunks(found)


File = bytes | tuple[int, AsyncIterator[bytes]]


async def read_file(store: ObjectStore, path: str, *, whole_bytes_max: int) -> File | None:
    """The object whole, or its size in bytes and its chunks when it is larger; None when there is none."""
    try:
        found = await obstore.get_async(store, path)
    except FileNotFoundError:
        return None
    size_bytes = found.meta["size"]
    return bytes(await found.bytes_async()) if size_bytes <= whole_bytes_max else (size_bytes, _chunks(found))


async def _chunks(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream():
        yield bytes(chunk)


async def size_of(store: ObjectStore, path: str) -> int | None:
    """The object's size in bytes, or None when there is none."""
    try:
        return (await obstore.head_async(store, path))["size"]
    except FileNotFoundError:
        return None


async def read_whole(store: ObjectStore, path: str) -> bytes | None:
    try:
        found = await obstore.get_async(store, path)
    except FileNotFoundError:
        return None
    return bytes(await found.bytes_async())


async def read_range(store: ObjectStore, path: str, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from ``start`` to before ``end``, asked for a piece at a time: no request waits for a slow reader."""
    for piece in range(start, end, READ_BYTES):
        yield bytes(await obstore.get_range_async(store, path, start=piece, end=min(end, piece + READ_BYTES)))


async def put_stream(store: ObjectStore, path: str, chunks: AsyncIterator[bytes]) -> None:
    """Write an object of any size; it is there whole or not at all."""
    await obstore.put_async(store, path, chunks, use_multipart=True, chunk_size=SENT_BYTES, max_concurrency=2)


async def delete_each(store: ObjectStore, paths: Sequence[str]) -> None:
    """Delete the objects, also if some are gone already."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(store, path)


async def delete_under(store: ObjectStore, prefix: str) -> None:
    """Delete every object whose path begins with the folder ``prefix``."""
    async for batch in obstore.list(store, prefix=prefix):
        await obstore.delete_async(store, [entry["path"] for entry in batch])
