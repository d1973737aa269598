"""Ids: a prefix, the microsecond of creation and 80 random bits, all in hex, so that text order is time order."""

import re
import secrets
import time
from hashlib import shake_128

_FORM = re.compile(r"(doc|cl|acct|key|exp)_[0-9a-f]{34}", re.ASCII)


def new_id(prefix: str) -> str:
    return f"{prefix}_{time.time_ns() // 1000:014x}{secrets.token_hex(10)}"


def new_block() -> str:
    """The name of many that are created at once, from which their ids follow."""
    return new_id("bulk")


def ids_of(block: str, prefix: str, size: int) -> list[str]:
    """A microsecond apart in the order of their items; one of them tells nothing about another, nor about the block."""
    begun = int(block[5:19], 16)
    chance = shake_128(block.encode()).hexdigest(10 * size)
    return [f"{prefix}_{begun + at:014x}{chance[20 * at : 20 * at + 20]}" for at in range(size)]


def is_id(text: str, prefix: str) -> bool:
    match = _FORM.fullmatch(text)
    return match is not None and match[1] == prefix
