import re

import pytest

from shared.messages import METER_SHARDS, meter_account, meter_producer, meter_shard, meter_stream

ACCOUNTS = [f"acct_{number:034x}" for number in range(1_000)]


def test_all_keys_of_a_shard_carry_its_hash_tag() -> None:
    for account in ACCOUNTS:
        shard = meter_shard(account)
        keys = (meter_account(account), meter_stream(shard), meter_producer(shard, "p"))
        assert {re.match(r"\{(m\d+)\}:", key)[1] for key in keys} == {f"m{shard}"}  # type: ignore[index]


def test_accounts_spread_over_all_shards() -> None:
    counts = [sum(meter_shard(account) == shard for account in ACCOUNTS) for shard in range(METER_SHARDS)]
    assert min(counts) > len(ACCOUNTS) / METER_SHARDS / 2


@pytest.mark.parametrize(("account", "shard"), [("acct_a", 5), ("acct_b", 7)])
def test_an_account_keeps_its_shard_for_good(account: str, shard: int) -> None:
    assert meter_shard(account) == shard
