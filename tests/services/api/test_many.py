"""The items of a call, found without being read: bounded in time and memory, whatever the body holds."""

import tracemalloc

import pytest

from services.api.many import BULK_BYTES_MAX, ITEMS_MAX, many_of, many_under
from shared.errors import Problem

read = many_under("things")


def test_items_are_as_they_came() -> None:
    many = read(b' {"atomic" : true , "things" : [ {"a" : [1, 2.50]} ,\n "\xc3\xbc" , null] } ')
    assert [bytes(item) for item in many.items] == [b'{"a" : [1, 2.50]}', b'"\xc3\xbc"', b"null"]
    assert many.atomic


@pytest.mark.parametrize("atomic", [b"false", b"null"])
def test_without_more_it_is_not_all_or_nothing(atomic: bytes) -> None:
    assert not read(b'{"things":[1]}').atomic
    assert not read(b'{"things":[1],"atomic":%s}' % atomic).atomic


@pytest.mark.parametrize("padding", [0, 2_000_000], ids=["small", "large"])
def test_as_many_as_there_may_be(padding: int) -> None:
    space = b" " * padding
    assert len(read(b'{"things":[%s0]}' % (b"0," * (ITEMS_MAX - 1)) + space).items) == ITEMS_MAX
    for items in (b"", b"0," * ITEMS_MAX + b"0"):
        with pytest.raises(Problem) as told:
            read(b'{"things":[%s]}' % items + space)
        assert told.value.details == {"things": "Must hold from 1 to 1,000 items"}


HOSTILE = {
    "items": b'{"things":[%s0]}' % (b"0," * (BULK_BYTES_MAX // 2 - 10)),
    "fields": b"{%s}" % b",".join(b'"%d":0' % number for number in range(800_000)),
    "depth": b'{"things":[%s' % (b"[" * (BULK_BYTES_MAX - 20)),
    "brackets": b'{"things":%s' % (b"[]," * 3_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_takes_no_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            read(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_will_be_refused_has_no_items_to_count() -> None:
    assert many_of(read, b'{"things":[]}') is None
    assert many_of(read, b'{"things":[{}]}') is not None
