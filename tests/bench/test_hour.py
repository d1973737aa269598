"""What an hour's load is judged by: memory at the end, what it rises, and how calls ended."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.bench.hour import SAMPLES, STEPS, Moment, Sample, report

CALLS = Counter({(step.words, step.status): 100_000 for step in STEPS})


def _moments(gateway_mb: Callable[[int], float]) -> list[Moment]:
    still = Sample(50, 40)
    return [
        Moment(minute, 1_000 * minute, Sample(gateway_mb(minute), 50), still) for minute in range(SAMPLES + 1)
    ]


def test_memory_that_rises_at_first_and_is_low_is_good() -> None:
    found = report(_moments(lambda minute: 70 + min(minute, 20)), CALLS)
    assert found.missed == ()
    assert "Each call ended as it should." in found.text
    assert found.text.count("| to ") == 6


@pytest.mark.parametrize(
    ("gateway_mb", "sentence"),
    [
        (lambda _: 120.5, "The gateway takes 120.5 MB at the end; 120 is the most."),
        (lambda minute: 70 + minute / 5, "The gateway rises by 6.0 MB over the second half; 5% is the most."),
    ],
    ids=["high", "rising"],
)
def test_memory_that_is_high_or_rises_is_named(gateway_mb: Callable[[int], float], sentence: str) -> None:
    assert report(_moments(gateway_mb), CALLS).missed == (sentence,)


def test_calls_that_end_otherwise_are_named_unless_the_gateway_was_busy() -> None:
    words = STEPS[0].words
    busy = report(_moments(lambda _: 70), CALLS + Counter({(words, 503): 10_000}))
    assert busy.missed == ()
    assert f"{words}: 503, 10,000 times" in busy.text
    wrong = report(_moments(lambda _: 70), CALLS + Counter({(words, 500): 10_000}))
    assert wrong.missed == ("10,000 of 1,110,000 calls ended otherwise than they should.",)


def test_fewer_calls_than_wanted_show_nothing_and_are_named() -> None:
    few = Counter({key: n // 3 for key, n in CALLS.items()})
    found = report(_moments(lambda _: 70), few)
    assert found.missed == ("102 calls a second were made; 270 is the least.",)
    assert found.missed[0] in found.text
