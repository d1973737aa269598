"""Stream entries: what admission.lua writes for each call that counted, and the hand-over's reading of it."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.metering.ledger import UsageRow

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Positive = Annotated[int, Meta(ge=1, lt=2**53)]
Amount = Annotated[int, Meta(gt=-(2**53), lt=2**53)]
# Up to the year 9999, the last that a timestamp of Python can be.
Seconds = Annotated[int, Meta(ge=0, lt=253_402_300_800)]


class Counted(msgspec.Struct, frozen=True, array_like=True):
    account_id: Name
    bucket_s: Seconds
    metric: Name
    amount: Amount


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One granted call of a gateway. Elements after these are ignored, so that a newer writer may add some."""

    version: Literal[1]
    producer: Name
    seq: Positive
    time_ms: int
    counted: tuple[Counted, ...]


def decode_entry(fields: dict[bytes, bytes]) -> Entry:
    """Raises ValueError when it cannot be read."""
    payload = fields.get(b"e")
    if payload is None:
        raise ValueError("The entry has no field e")
    try:
        return msgspec.msgpack.decode(payload, type=Entry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error


def pass_fences(entries: Iterable[Entry], fences: dict[str, int]) -> tuple[list[Entry], dict[str, int]]:
    """The entries that the ledger does not have yet, and the fences as they stand behind them."""
    fresh: list[Entry] = []
    moved = dict(fences)
    for entry in entries:
        if entry.seq > moved.get(entry.producer, 0):
            moved[entry.producer] = entry.seq
            fresh.append(entry)
    return fresh, moved


def sum_usage(entries: Iterable[Entry]) -> list[UsageRow]:
    sums: Counter[tuple[str, str, int]] = Counter()
    for entry in entries:
        for counted in entry.counted:
            sums[counted.account_id, counted.metric, counted.bucket_s] += counted.amount
    return [
        UsageRow(account_id, metric, datetime.fromtimestamp(bucket_s, UTC), amount)
        for (account_id, metric, bucket_s), amount in sums.items()
        if amount
    ]
