import msgspec
import pytest

from services.metering.entries import Counted, Entry, decode_entry, pass_fences, sum_usage

HOUR_S = 1_772_323_200
ROW = ("acct_one", HOUR_S, "api_calls", 2)


def packed(*entry: object) -> dict[bytes, bytes]:
    return {b"e": msgspec.msgpack.encode(entry)}


def test_elements_that_a_newer_writer_added_are_ignored() -> None:
    entry = decode_entry(packed(1, "p1", 5, 1000, [[*ROW, "more"]], "more"))
    assert entry == Entry(1, "p1", 5, 1000, (Counted(*ROW),))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"e": b"\xc1"},
        {b"e": b"\xa2\xff\xff"},
        packed(2, "p1", 5, 1000, [ROW]),
        packed(1, "p1", 0, 1000, [ROW]),
        packed(1, "p1", 5),
        packed(1, "p1\0", 5, 1000, [ROW]),
        packed(1, "p1", 5, 1000, [("acct\0", HOUR_S, "api_calls", 2)]),
        packed(1, "p1", 5, 1000, [("acct_one", 10**15, "api_calls", 2)]),
        packed(1, "p1", 5, 1000, [("acct_one", HOUR_S, "api_calls", 2.5)]),
        packed(1, "p1", 5, 1000, [("acct_one", HOUR_S, "api_calls", 2**60)]),
    ],
)
def test_what_cannot_be_counted_is_a_value_error(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_entry(fields)


def test_fences_let_each_call_of_a_producer_pass_once() -> None:
    calls = [Entry(1, name, seq, 0, ()) for name, seq in [("a", 4), ("a", 5), ("b", 1), ("a", 5), ("b", 2)]]
    fresh, moved = pass_fences(calls, {"a": 4})
    assert [(entry.producer, entry.seq) for entry in fresh] == [("a", 5), ("b", 1), ("b", 2)]
    assert moved == {"a": 5, "b": 2}


def test_sums_are_per_account_metric_and_hour_and_leave_out_zeros() -> None:
    rows = (
        Counted(*ROW),
        Counted("acct_one", HOUR_S, "documents", 1),
        Counted("acct_two", HOUR_S, "api_calls", 1),
    )
    back = (Counted("acct_one", HOUR_S, "documents", -1), Counted(*ROW))
    sums = sum_usage([Entry(1, "p", 1, 0, rows), Entry(1, "p", 2, 0, back)])
    assert [(row.account_id, row.metric, row.amount) for row in sums] == [
        ("acct_one", "api_calls", 4),
        ("acct_two", "api_calls", 1),
    ]
