"""Every SQL statement of the store, as its functions hold it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.api import store

FOLDER = Path(next(iter(store.__path__)))
VERBS = {"execute", "executemany", "fetch", "fetchrow", "fetchval"}
# Their statements are put together from pieces, each combination of which has tests of its own.
COMPOSED = {FOLDER / "listing.py", FOLDER / "streaming.py"}


class Statement(msgspec.Struct, frozen=True):
    function: str
    sql: str

    def __str__(self) -> str:
        return self.function


def statements() -> Iterator[Statement]:
    for path in sorted(set(FOLDER.glob("*.py")) - COMPOSED):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef):
                yield from (Statement(f"{path.stem}.{function.name}", sql) for sql in literals(function))


def literals(function: ast.AsyncFunctionDef) -> Iterator[str]:
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in VERBS:
            literal = call.args[0]
            assert isinstance(literal, ast.Constant), f"{function.name} builds its statement"
            assert isinstance(literal.value, str)
            yield " ".join(literal.value.split())


def touched(sql: str) -> set[str]:
    """The tables that it names."""
    return set(re.findall(r"api\.(\w+)", sql))
