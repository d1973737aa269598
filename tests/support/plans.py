"""How PostgreSQL goes about each statement that is asked for on one connection, in plans that were run."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any, cast

import asyncpg
import msgspec

from shared.postgres import Connection

GROWING = {"documents", "clients", "exports", "document_counts", "due_counts", "client_counts"}

Ask = Callable[[Connection], Awaitable[Any]]


class Look(msgspec.Struct, frozen=True):
    """What a statement's plan came to."""

    sql: str
    nodes: list[dict[str, Any]]

    def scans(self) -> Iterator[dict[str, Any]]:
        return (node for node in self.nodes if "Scan" in node["Node Type"] and "Relation Name" in node)

    def rows_read(self) -> int:
        """Rows and entries that were looked at, whether or not they were kept."""
        return round(sum(seen(node) * node["Actual Loops"] for node in chain(self.scans(), self._bitmaps())))

    def _bitmaps(self) -> Iterator[dict[str, Any]]:
        return (node for node in self.nodes if node["Node Type"] == "Bitmap Index Scan")

    def sorted_rows(self) -> int:
        """The most that any sort was given."""
        sorts = (node for node in self.nodes if "Sort" in node["Node Type"])
        return max((round(child["Actual Rows"]) for node in sorts for child in node["Plans"]), default=0)

    def whole_tables(self) -> set[str]:
        return {
            node["Relation Name"]
            for node in self.nodes
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING
        }


def seen(node: dict[str, Any]) -> float:
    dropped = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return node["Actual Rows"] + sum(node.get(name, 0) for name in dropped)


class Recorder:
    """A connection that explains what it is asked before it answers."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection
        self.looks: list[Look] = []

    async def fetch(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        self.looks.append(await self._explained(sql, values))
        return await self.connection.fetch(sql, *values)

    async def fetchrow(self, sql: str, *values: Any) -> asyncpg.Record | None:
        return next(iter(await self.fetch(sql, *values)), None)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        row = await self.fetchrow(sql, *values)
        return None if row is None else row[0]

    async def execute(self, sql: str, *values: Any) -> str:
        return await self.connection.execute(sql, *values)

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncGenerator[None]:
        async with self.connection.transaction(**options):
            yield

    async def _explained(self, sql: str, values: tuple[Any, ...]) -> Look:
        await self.connection.execute(f"prepare looked as {sql}")
        given = f"({', '.join(map(literal, values))})" if values else ""
        try:
            (plan,) = msgspec.json.decode(
                await self.connection.fetchval(
                    f"explain (analyze, timing off, format json) execute looked{given}"
                )
            )
        finally:
            await self.connection.execute("deallocate looked")
        return Look(sql, list(nodes_of(plan["Plan"])))


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)


def literal(value: Any) -> str:
    if value is None or isinstance(value, int | Decimal):
        return "null" if value is None else str(value)
    if isinstance(value, list | tuple):
        return f"array[{', '.join(map(literal, cast('list[Any]', value)))}]::text[]"
    text = value.isoformat() if isinstance(value, date) else str(value)
    return "'" + text.replace("'", "''") + "'"


async def looks_at(url: str, ask: Ask, mode: str) -> list[Look]:
    connection = await asyncpg.connect(url, server_settings={"plan_cache_mode": mode, "jit": "off"})
    recorder = Recorder(connection)
    try:
        await ask(cast("Connection", recorder))
    finally:
        await connection.close()
    return recorder.looks
