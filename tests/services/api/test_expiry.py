"""What leaves by age: idempotency records, a batch at a time, and none before its day is over."""

import pytest

from services.api import expiry
from shared.postgres import open_pool


async def test_only_records_older_than_a_day_leave_and_all_of_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    async with await open_pool(database_url, size_max=1, statement_timeout_s=5) as pool:
        await pool.execute(
            """
            insert into api.idempotency (account_id, key, fingerprint, status, body, created_at)
            select 'acct', n::text, '', 201, '', now() - n * interval '6 hours' from generate_series(1, 10) n
            """
        )
        await expiry._expire(pool)  # noqa: SLF001 - the loop around it only waits
        kept = await pool.fetch("select key from api.idempotency order by key")
    assert [row[0] for row in kept] == ["1", "2", "3"]
