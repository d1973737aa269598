"""How a result is shown: JSON for scripts, aligned words for people."""

import argparse
import json
from datetime import datetime
from typing import Any

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """A result whose exit code says something, too."""

    result: Any
    code: int


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON value, errors too")


def show(result: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, default=_plain))
    elif isinstance(result, list):
        _show_table(result)
    else:
        _show_pairs(result)


def _show_pairs(result: dict[str, Any]) -> None:
    width = max(map(len, result), default=0)
    for name, value in result.items():
        print(f"{name:<{width}}  {_words(value)}")


def _show_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("none")
        return
    table = [list(rows[0]), *([_words(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items()) or "-"
    return str(_plain(value)) if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)
