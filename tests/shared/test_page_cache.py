"""What the system holds in memory of a folder is read at once, and nothing is ever waited for."""

import os
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from shared.page_cache import PageCache

PATH = "pdf/acct_1/doc_1/a.pdf"
CONTENT = b"%PDF" * 10_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def cache(tmp_path: Path, file: Path) -> PageCache:
    cache = PageCache(LocalStore(prefix=tmp_path))
    assert file.stat().st_size == len(CONTENT)
    if cache.read(PATH, bytes_max=len(CONTENT)) is None:
        pytest.skip("this file system can not tell what it holds in memory")
    return cache


def test_what_was_just_written_is_read_whole(cache: PageCache) -> None:
    assert cache.read(PATH, bytes_max=len(CONTENT)) == CONTENT


def test_what_is_larger_or_not_there_is_not(cache: PageCache) -> None:
    assert cache.read(PATH, bytes_max=len(CONTENT) - 1) is None
    assert cache.read("pdf/acct_1/doc_1/b.pdf", bytes_max=len(CONTENT)) is None
    assert cache.read(PATH, bytes_max=len(CONTENT)) == CONTENT


def test_what_lies_on_the_disk_alone_is_left_to_the_store(cache: PageCache, file: Path) -> None:
    held = os.open(file, os.O_RDONLY)
    os.fsync(held)
    os.posix_fadvise(held, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(held)
    assert cache.read(PATH, bytes_max=len(CONTENT)) is None


def test_a_store_that_is_no_folder_holds_nothing() -> None:
    assert PageCache(MemoryStore()).read(PATH, bytes_max=len(CONTENT)) is None
