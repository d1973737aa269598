"""Calls of many: their items, found in a body without being read, to be counted first and then read one by one."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from services.api.domain.rules import UNKNOWN, Broken, Rule, read_fields, shown, validation_error
from services.api.http import BODY_BYTES_MAX, decode_json
from shared.errors import Problem

ITEMS_MAX = 1_000
BULK_BYTES_MAX = 10 * 1024 * 1024
LENGTH = f"Must hold from 1 to {ITEMS_MAX:,} items"

_ABSENT = msgspec.Raw()
# To look for all of a large value takes a tenth of a second.
_TOLD_BY_BYTES = 64
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _decoder_of(
    names: Iterable[str], *, is_list: bool = False, is_strict: bool = True
) -> Callable[[bytes | msgspec.Raw], Any]:
    """Of objects or lists of these at most; a dict or list would be read to its end before it is found too long."""
    fields = [(name, msgspec.Raw, _ABSENT) for name in names]
    kind = msgspec.defstruct("Held", fields, array_like=is_list, forbid_unknown_fields=is_strict)
    return msgspec.json.Decoder(kind).decode


_decode_items = _decoder_of([f"item_{at}" for at in range(ITEMS_MAX)], is_list=True)


class Many(msgspec.Struct, frozen=True):
    """Items that are JSON as it came; ``atomic`` asks for all of them or none."""

    items: tuple[msgspec.Raw, ...]
    atomic: bool = False


def many_under(name: str) -> Callable[[bytes], Many]:
    """The reader of bodies whose items stand under this name; it raises invalid_json or validation_error."""
    rules: dict[str, Rule] = {name: _items, "atomic": _flag}
    decode_large = _large_decoder(rules, name)

    def read(body: bytes) -> Many:
        fields = _decoded(decode_large if len(body) > BODY_BYTES_MAX else _decode_fields, body)
        given = {field: None if _is_null(value) else value for field, value in fields.items()}
        values = read_fields(given, rules, required=(name,))
        return Many(values[name], values.get("atomic") or False)

    return read


def many_of(read: Callable[[bytes], Many], body: bytes) -> Many | None:
    """None where there is nothing to be counted, since the call will be refused."""
    try:
        return read(body)
    except Problem:
        return None


def _large_decoder(names: Iterable[str], name: str) -> Callable[[bytes], dict[str, msgspec.Raw]]:
    """Of objects with these fields; of others, all that a small body could hold beside ``name``, else the first."""
    decode_alone, decode_among = _decoder_of(names), _decoder_of(names, is_strict=False)

    def decode(body: bytes) -> dict[str, msgspec.Raw]:
        try:
            return msgspec.structs.asdict(decode_alone(body))
        except msgspec.ValidationError as error:
            known = msgspec.structs.asdict(decode_among(body))
            others = _without(body, bytes(known[name])).strip()
            if len(others) > BODY_BYTES_MAX:
                raise validation_error({shown(str(error).split("`", 1)[1][:-1]): UNKNOWN}) from None
            return _decode_fields(others) | {name: known[name]}

    return decode


def _without(body: bytes, value: bytes) -> bytes:
    """With null in its place, where it begins as nothing before it does."""
    at = body.find(value[:_TOLD_BY_BYTES])
    return body[:at] + b"null" + body[at + len(value) :] if value and body.startswith(value, at) else body


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise Problem("validation_error", f"The body is not as documented: {error}") from None
    except RecursionError:
        raise Problem("invalid_json", "The body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not body.strip():
            decode_json(body)
        raise Problem("invalid_json", f"The body is not valid JSON: {error}") from None


def _is_null(value: msgspec.Raw) -> bool:
    return value is _ABSENT or _begin(value, 5) == b"null"


def _begin(value: msgspec.Raw, size_bytes: int) -> bytes:
    return bytes(memoryview(value)[:size_bytes])


def _items(value: msgspec.Raw | None) -> tuple[msgspec.Raw, ...]:
    if value is None or _begin(value, 1) != b"[":
        raise Broken("Must be a list")
    try:
        held = msgspec.structs.astuple(_decode_items(value))
    except msgspec.ValidationError:
        raise Broken(LENGTH) from None
    items = tuple(item for item in held if item is not _ABSENT)
    if not items:
        raise Broken(LENGTH)
    return items


def _flag(value: msgspec.Raw | None) -> bool:
    given = bytes(value or b"false")
    if given not in {b"true", b"false"}:
        raise Broken("Must be true or false")
    return given == b"true"
