"""Rows for PostgreSQL's COPY, in its text format: a line each, with a tab between columns, escaped and in chunks."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

NULL = r"\N"
# That of the backslash first, since the others bring one.
ESCAPES = (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r"))
# Some dozen rows of ordinary size: others have their turn after each chunk.
CHUNK_CHARS = 64 * 1024


def column(text: str | None) -> str:
    """Any text, also JSON, which may hold what ends a column or a row: to look for it is quicker than to replace it."""
    if text is None:
        return NULL
    for character, escape in ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    return text


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
