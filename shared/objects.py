"""The object store: a folder by default, S3, GCS or Azure by URL; objects are written once and never changed."""

from collections.abc import AsyncIterator
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


async def _chunks(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream():
        yield bytes(chunk)


async def delete_under(store: ObjectStore, prefix: str) -> None:
    """Delete every object whose path begins with the folder ``prefix``."""
    async for batch in obstore.list(store, prefix=prefix):
        await obstore.delete_async(store, [entry["path"] for entry in batch])
