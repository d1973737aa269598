"""What is copied into a table is what was to be copied, whatever it holds."""

from collections.abc import Sequence

import asyncpg
from hypothesis import example, given
from hypothesis import strategies as st

from services.api.store.copying import CHUNK_CHARS, column, in_chunks
from shared.postgres import Connection

# All that PostgreSQL can hold.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
HARD = (
    "",
    "\\",
    "\\N",
    "\\.",
    "\\.\n",
    "\t",
    "a\tb",
    "\n",
    "\r\n",
    "\\\t\\n",
    "\\x41",
    "\\101",
    "N",
    "\b\f\v",
    "☃",
)


async def copied(
    connection: Connection, rows: Sequence[tuple[str | None, str | None]]
) -> list[tuple[str | None, str | None]]:
    await connection.execute("create temp table copied (at serial, one text, two text)")
    await connection.copy_to_table(
        "copied",
        columns=("one", "two"),
        source=in_chunks(f"{column(one)}\t{column(two)}" for one, two in rows),
    )
    found = await connection.fetch("select one, two from copied order by at")
    await connection.execute("drop table copied")
    return [(row["one"], row["two"]) for row in found]


async def test_hard_texts_come_as_they_were(database_url: str) -> None:
    rows = [(one, two) for one in (*HARD, None) for two in (*HARD, None)]
    connection = await asyncpg.connect(database_url)
    try:
        assert await copied(connection, rows) == rows
        assert await copied(connection, []) == []
        large = [("x" * CHUNK_CHARS, "\\" * CHUNK_CHARS)] * 3
        assert await copied(connection, large) == large
    finally:
        await connection.close()


@given(st.lists(TEXTS, min_size=1))
@example([*HARD])
def test_an_escaped_text_holds_no_end_and_reads_back(texts: list[str]) -> None:
    """Read as PostgreSQL's documentation says."""
    row = "\t".join(map(column, texts))
    assert "\n" not in row
    assert "\r" not in row
    assert [unescaped(part) for part in row.split("\t")] == texts


def unescaped(part: str) -> str:
    characters = iter(part)
    letters = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    return "".join(letters[next(characters)] if each == "\\" else each for each in characters)
