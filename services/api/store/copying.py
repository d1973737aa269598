"""Rows for PostgreSQL's COPY, in its text format: a line each, with a tab between columns, escaped and in chunks."""

from collections.abc import AsyncGenerator, Iterable

NULL = r"\N"
# A row costs less in a chunk of many, and others have their turn after each chunk.
CHUNK_CHARS = 128 * 1024


def escaped(text: str | None) -> str:
    """A value that may hold what ends a column or a row."""
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
            yield "\n".join((*chunk, "")).encode()
            chunk.clear()
            chars = 0
    if chunk:
        yield "\n".join((*chunk, "")).encode()
