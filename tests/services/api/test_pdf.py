"""What the gateway keeps of the PDFs that were asked for last is bounded in bytes."""

from services.api.pdf import Recent


def test_what_was_asked_for_last_is_kept_and_the_oldest_goes_first() -> None:
    recent = Recent(10)
    recent.keep("a", b"1234")
    recent.keep("b", b"1234")
    assert recent.get("a") == b"1234"
    recent.keep("c", b"1234")
    assert [recent.get(key) for key in "abc"] == [b"1234", None, b"1234"]


def test_what_is_larger_than_all_of_it_is_not_kept() -> None:
    recent = Recent(10)
    recent.keep("a", b"1234")
    recent.keep("b", b"12345678901")
    assert [recent.get(key) for key in "ab"] == [b"1234", None]


def test_nothing_is_kept_where_there_is_no_room() -> None:
    recent = Recent(0)
    recent.keep("a", b"1")
    assert recent.get("a") is None
