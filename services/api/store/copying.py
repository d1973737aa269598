"""Rows for PostgreSQL's COPY, in its text format: a line each, with a tab between columns, escaped and in chunks."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

NULL = r"\N"
# Some dozen rows of ordinary size: others have their turn after each chunk.
CHUNK_CHARS = 64 * 1024


def json_column(text: str | None) -> str:
    """JSON holds neither tabs nor line breaks but as escapes."""
    return NULL if text is None else text.replace("\\", r"\\")


def text_column(text: str | None) -> str:
    """Any text, which may hold what ends a column or a row."""
    if text is None:
        return NULL
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


async def in_chunks(rows: Iterable[str]) -> AsyncGenerator[bytes]:
    """Each row is made when its chunk is."""
    chunk: list[str] = []
    chars = 0
    for row in rows:
        chunk.append(row)
        chars += len(row)
        if chars >= CHUNK_CHARS:
            yield _ended(chunk)
            chunk.clear()
            chars = 0
            await asyncio.sleep(0)
    if chunk:
        yield _ended(chunk)


def _ended(rows: Iterable[str]) -> bytes:
    return "".join([f"{row}\n" for row in rows]).encode()
