"""Ids: opaque, sorted by time, and never guessed."""

import pytest

from services.api.store.ids import is_id, new_id

PREFIXES = ("doc", "cl", "acct", "key")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_ids_sort_by_the_moment_they_were_made(prefix: str) -> None:
    moments = [new_id(prefix)[: len(prefix) + 15] for _ in range(1_000)]
    assert moments == sorted(moments)


def test_ids_have_at_least_74_random_bits() -> None:
    tails = {new_id("doc")[-20:] for _ in range(1_000)}
    assert len(tails) == 1_000
    assert {len(tail) * 4 for tail in tails} == {80}
    assert all(len({tail[place] for tail in tails}) == 16 for place in range(20))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_id_is_known_by_its_prefix_and_form(prefix: str) -> None:
    made = new_id(prefix)
    assert is_id(made, prefix)
    assert not any(is_id(made, other) for other in PREFIXES if other != prefix)
    for broken in (made[:-1], made + "0", made.upper(), f" {made}", f"{made}\n", made.replace("_", "-"), ""):
        assert not is_id(broken, prefix)
