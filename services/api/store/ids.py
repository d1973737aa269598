"""Ids: a prefix, the microsecond of creation and 80 random bits, all in hex, so that text order is time order."""

import re
import secrets
import time

_FORM = re.compile(r"(doc|cl|acct|key|exp)_[0-9a-f]{34}", re.ASCII)


def new_id(prefix: str) -> str:
    return f"{prefix}_{time.time_ns() // 1000:014x}{secrets.token_hex(10)}"


def is_id(text: str, prefix: str) -> bool:
    match = _FORM.fullmatch(text)
    return match is not None and match[1] == prefix
