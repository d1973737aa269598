"""What the system holds in memory of a folder is read at once, and nothing is ever waited for."""

import errno
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


# The system's answers are played: a real file that was dropped from memory may be back before the read looks, as the
# read itself has the disk asked (Linux reads ahead under RWF_NOWAIT too).
@pytest.mark.parametrize("at_hand", [0, 4096])
def test_what_the_disk_would_be_waited_for_is_left_to_the_store(
    cache: PageCache, monkeypatch: pytest.MonkeyPatch, at_hand: int
) -> None:
    asked: list[int] = []

    def preadv(_file: int, buffers: list[bytearray], _offset: int, flags: int) -> int:
        asked.append(flags)
        if not at_hand:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        buffers[0][:at_hand] = CONTENT[:at_hand]
        return at_hand

    with monkeypatch.context() as system:
        system.setattr(os, "preadv", preadv)
        assert cache.read(PATH, bytes_max=len(CONTENT)) is None
    assert asked == [os.RWF_NOWAIT]
    assert cache.read(PATH, bytes_max=len(CONTENT)) == CONTENT, "a wait is no reason to stop asking"


def test_a_store_that_is_no_folder_holds_nothing() -> None:
    assert PageCache(MemoryStore()).read(PATH, bytes_max=len(CONTENT)) is None
