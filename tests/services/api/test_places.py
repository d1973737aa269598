"""Places: how many are taken, and when the next one is judged to be free."""

from contextlib import ExitStack

import pytest

from services.api import places
from services.api.places import ENDED_MAX, Places


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it is."""
    now = [1000.0]
    monkeypatch.setattr(places.time, "monotonic", lambda: now[0])
    return now


def lasted(held: Places, clock: list[float], *seconds: float) -> None:
    for each in seconds:
        with held.taken("acct_0"):
            clock[0] += each


def test_what_is_taken_is_given_back() -> None:
    held = Places()
    with held.taken("acct_0"), held.taken("acct_0"), held.taken("acct_1"):
        assert (len(held), held.of("acct_0"), held.of("acct_1"), held.of("acct_2")) == (3, 2, 1, 0)
    assert (len(held), held.of("acct_0")) == (0, 0)


def test_the_oldest_is_expected_to_last_as_long_as_any_of_late(clock: list[float]) -> None:
    held = Places()
    lasted(held, clock, 2, 30, 5)
    with ExitStack() as stack:
        stack.enter_context(held.taken("acct_0"))
        clock[0] += 10
        stack.enter_context(held.taken("acct_1"))
        clock[0] += 4.5
        assert held.retry_after_s() == held.retry_after_s("acct_0") == 16
        assert held.retry_after_s("acct_1") == 26
        assert held.retry_after_s("acct_2") == 30


def test_one_that_lasts_longer_than_any_is_expected_to_last_as_long_again(clock: list[float]) -> None:
    held = Places()
    lasted(held, clock, 2)
    with held.taken("acct_0"):
        clock[0] += 50
        assert held.retry_after_s() == 50


def test_what_was_long_ago_is_forgotten_and_what_is_not_typical_is_no_measure(clock: list[float]) -> None:
    held = Places()
    lasted(held, clock, 500, *[3] * ENDED_MAX)
    with held.taken("acct_0", is_typical=False):
        clock[0] += 100
    with held.taken("acct_0"):
        assert held.retry_after_s() == 3


def test_it_is_a_second_at_least() -> None:
    assert Places().retry_after_s() == 1
