"""Small files that the system holds in memory, read at once: a turn through a thread costs more than the file.

Whatever would have to wait for a disk or a network is left to the object store.
"""

import errno
import os

from obstore.store import LocalStore, ObjectStore

# Linux alone tells instead of waiting (preadv2(2)).
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)


class PageCache:
    """Of a store that is a folder; any other holds nothing, and so does a file system that can not tell."""

    def __init__(self, store: ObjectStore) -> None:
        prefix = store.prefix if isinstance(store, LocalStore) and _NOWAIT else None
        self._folder = None if prefix is None else str(prefix)

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        """The object, if it lies in memory whole and is not larger."""
        if self._folder is None:
            return None
        try:
            return _read(f"{self._folder}/{path}", bytes_max)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                self._folder = None
            return None


def _read(path: str, bytes_max: int) -> bytes | None:
    file = os.open(path, os.O_RDONLY)
    try:
        size_bytes = os.fstat(file).st_size
        if size_bytes > bytes_max:
            return None
        data = bytearray(size_bytes)
        return bytes(data) if os.preadv(file, [data], 0, _NOWAIT) == size_bytes else None
    finally:
        os.close(file)
