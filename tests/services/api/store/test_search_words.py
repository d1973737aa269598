"""The words that a document is found by are those of PostgreSQL's parser, also where the parser is not asked."""

from random import Random

import asyncpg
import pytest

TEXTS = 20_000
ORDINARY = "abcxyzABCXYZ0123456789eE      -./@_<&+,:'!#%()\n"
ANY = ORDINARY * 3 + '"\\;?*=[]{}|~^`$>\t\r\x01éßøЖ漢字ª²ⅷ\u0301'

# The account's mark alone, of a text without words, is no word.
DIFFERENT = """
select t.given from unnest($1::text[]) as t (given)
where ts_delete(api.search_words('acct_0012345678', t.given), '12345678') is distinct from (
    select coalesce(array_to_tsvector(array_agg('12345678' || word)), '')
    from unnest(tsvector_to_array(to_tsvector('pg_catalog.simple', api.folded(t.given)))) word
)
"""


@pytest.mark.parametrize("alphabet", [ORDINARY, ANY], ids=["ordinary", "any"])
async def test_the_words_of_any_text_are_those_that_the_parser_finds(
    alphabet: str, database_url: str
) -> None:
    chance = Random(20_260_228)
    texts = ["".join(chance.choices(alphabet, k=chance.randrange(40))) for _ in range(TEXTS)]
    connection = await asyncpg.connect(database_url)
    try:
        found = await connection.fetch(DIFFERENT, texts)
    finally:
        await connection.close()
    assert not found, [row["given"] for row in found[:5]]


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "--",
        "'",
        "1e5",
        "1E5 2e-7 3e+8 4.5e6",
        "12e5abc",
        "x" * 3_000,
        "a " * 2_000,
        "10% off (net)\n#7",
    ],
)
async def test_so_are_those_of_hard_ones(given: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetch(DIFFERENT, [given]) == []
    finally:
        await connection.close()
