"""Sellers' logos as data URIs, since the browser may fetch nothing."""

import base64
from collections import OrderedDict

import obstore
from obstore.store import ObjectStore

# A logo's path is of its content, so that what was read once stays true.
KEPT_BYTES_MAX = 32 * 1024 * 1024


class Logos:
    """Read from the object store, those that were used last kept in memory."""

    def __init__(self, store: ObjectStore, *, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._store = store
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._kept_bytes = 0
        self._kept_bytes_max = kept_bytes_max

    async def read(self, path: str) -> str:
        """The PNG at ``path``; raises FileNotFoundError and what else the store raises."""
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        found = await obstore.get_async(self._store, path)
        png = await found.bytes_async()
        uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        self._keep(path, uri)
        return uri

    def _keep(self, path: str, uri: str) -> None:
        if path in self._kept:
            return  # Two have read it at the same time.
        self._kept[path] = uri
        self._kept_bytes += len(uri)
        while self._kept_bytes > self._kept_bytes_max:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)
