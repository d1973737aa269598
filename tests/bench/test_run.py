"""What makes `make bench` fail."""

from tests.bench.results import Result
from tests.bench.run import BOUNDS, LONG, MEASURES, Bound, broken

BOUNDED = {"fast": Bound(least=0.8), "slow": Bound(most=1.5)}


def test_a_ratio_within_its_bound_is_no_failure() -> None:
    assert broken(BOUNDED, [_result("fast", 0.8), _result("slow", 1.5), _result("told", 9.0)]) == []


def test_each_ratio_beyond_its_bound_is_named() -> None:
    assert broken(BOUNDED, [_result("fast", 0.7), _result("slow", 1.6)]) == [
        "fast is 0.700 and must be 0.8 or more.",
        "slow is 1.600 and must be 1.5 or less.",
    ]


def test_a_ratio_that_was_not_measured_is_a_failure() -> None:
    assert broken(BOUNDED, [_result("slow", 1.0)]) == ["fast has not been measured."]


def test_each_bound_is_of_a_measure_that_there_is() -> None:
    assert set(BOUNDS) <= {*MEASURES, *LONG}


def _result(name: str, ratio: float) -> Result:
    return Result(name, ratio, "another", (ratio, ratio))
