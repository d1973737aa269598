"""The migration that brings accounts to their owners: back and forth, and who may do what afterwards."""

from pathlib import Path

import asyncpg

import services.api

FOLDER = Path(next(iter(services.api.__path__))) / "migrations"
# And all that came after it, which may rest on it.
PATHS = sorted(path for path in FOLDER.glob("*.sql") if path.name >= "0003_account.sql")
BEFORE = ["documents:read", "documents:write", "clients:read", "clients:write", "usage:read"]
ADDED = ["account:read", "account:write"]


async def test_a_key_that_could_do_everything_still_can_and_no_other_gains_anything(
    database_url: str,
) -> None:
    ups, downs = zip(*(path.read_text().split("-- migrate:down") for path in PATHS), strict=True)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("\n".join(reversed(downs)))
        await connection.execute(
            "insert into api.accounts (id, name, currency, template, time_zone, profile)"
            " values ('acct_1', 'x', 'USD', 'clean', 'UTC', '{}')"
        )
        for key, scopes in (("whole", BEFORE), ("part", BEFORE[:-1]), ("turned", BEFORE[::-1])):
            await connection.execute(
                "insert into api.keys (id, account_id, hash, scopes) values ($1, 'acct_1', $2, $3)",
                key, key.encode(), scopes,
            )  # fmt: skip
        await connection.execute("\n".join(ups))
        rows = await connection.fetch("select id, scopes from api.keys")
    finally:
        await connection.close()
    assert {row["id"]: row["scopes"] for row in rows} == {
        "whole": BEFORE + ADDED,
        "part": BEFORE[:-1],
        "turned": BEFORE[::-1] + ADDED,
    }
