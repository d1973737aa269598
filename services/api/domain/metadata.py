"""What callers keep on a document or client for themselves: an id of their own, and texts under names of their own."""

from typing import Any

from services.api.domain.rules import Broken, Rule, shown, text

Metadata = dict[str, str]

KEYS_MAX = 50
EXTERNAL_ID_CHARS_MAX = 255
# A change of these alone changes nothing that anybody prints.
OWN_FIELDS = frozenset({"external_id", "metadata"})

_key = text(chars_max=40, chars_min=1)
_value = text(chars_max=500)
NO_EXTERNAL_ID = f"Must be 1 to {EXTERNAL_ID_CHARS_MAX} printable characters, with no space at either end"


def own_rules(held: Metadata, external_id: str | None = None) -> dict[str, Rule]:
    """``held`` is what a change is merged into; ``external_id`` the one that the caller has named it by already."""
    return {
        "external_id": read_external_id if external_id is None else _only(external_id),
        "metadata": metadata_over(held),
    }


def read_external_id(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not is_external_id(value):
        raise Broken(NO_EXTERNAL_ID)
    return value


def is_external_id(value: str) -> bool:
    """U+FFFD stands where a path held no UTF-8, and so means nothing."""
    fits = 1 <= len(value) <= EXTERNAL_ID_CHARS_MAX and value == value.strip(" ")
    return fits and value.isprintable() and "\ufffd" not in value


def _only(external_id: str) -> Rule:
    def rule(value: Any) -> str:
        if value != external_id:
            raise Broken("Must be the one in the path, or be left out")
        return external_id

    return rule


def metadata_over(held: Metadata) -> Rule:
    """Null or empty text takes a key away, or all of them in place of the whole."""

    def rule(value: Any) -> Metadata:
        if value is None or value == "":
            return {}
        if not isinstance(value, dict):
            raise Broken("Must be an object of texts, or null to take all of it away")
        changes, faults = _changes(value)
        merged = {key: each for key, each in {**held, **changes}.items() if each}
        if len(merged) > KEYS_MAX:
            faults[""] = f"Must hold at most {KEYS_MAX} keys"
        if faults:
            raise Broken(faults=faults)
        return merged

    return rule


def _changes(given: dict[str, Any]) -> tuple[dict[str, str | None], dict[str, str]]:
    changes: dict[str, str | None] = {}
    faults: dict[str, str] = {}
    for key, value in given.items():
        try:
            changes[_key(key)] = None if value is None else _text(value)
        except Broken as broken:
            faults[f".{shown(key)}"] = broken.faults[""]
    return changes, faults


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Broken("Must be text, so a number in quotes; or null to take the key away")
    return _value(value)
