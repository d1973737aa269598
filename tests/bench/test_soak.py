"""Ten minutes tell memory that breathes from memory that is kept, down to a kilobyte of each PDF."""

from random import Random

import pytest

from tests.bench.memory import KB, MB, Footprint
from tests.bench.soak import PARTS, SAMPLE_S, Sample, growths, report

# What a quiet machine of two cores prints.
PRINTS_A_SECOND = 30
SECONDS = 600
# Of garbage that waits for its collection, and of what is seen by chance.
BREATH_MB, BREATH_S, NOISE_MB = 8.0, 41.0, 2.0
PYTHON, PYTHON_MB, BROWSERS_MB = "Python", 90.0, 600.0


@pytest.mark.parametrize("seed", range(5))
def test_what_breathes_is_flat(seed: int) -> None:
    assert [growth.name for growth in growths(soaked(Random(seed))) if not growth.is_flat] == []


@pytest.mark.parametrize("seed", range(5))
def test_a_kilobyte_kept_of_each_pdf_is_not(seed: int) -> None:
    found = growths(soaked(Random(seed), kept_kb=1.0))
    assert [growth.name for growth in found if not growth.is_flat] == [PYTHON]


def test_each_part_says_what_it_would_have_seen() -> None:
    starting = Sample(0, 0, Footprint(50, 0))
    samples = [starting, *soaked(Random(0))]
    text = report(samples, growths(samples))
    assert "| 1 | 1,710 |" in text
    assert text.count("which is flat; 0.5 kB kept of each PDF would not be.") == 1


def soaked(chance: Random, *, kept_kb: float = 0.0) -> list[Sample]:
    times = [SAMPLE_S * at for at in range(int(SECONDS / SAMPLE_S))]
    phase = chance.random()

    def seen(seconds: float) -> Footprint:
        breath_mb = (seconds / BREATH_S + phase) % 1 * BREATH_MB
        kept_mb = seconds * PRINTS_A_SECOND * kept_kb * KB / MB
        return Footprint(PYTHON_MB + breath_mb + kept_mb + chance.gauss(0, NOISE_MB), BROWSERS_MB)

    assert next(iter(PARTS)) == PYTHON
    return [Sample(seconds, int(seconds * PRINTS_A_SECOND), seen(seconds)) for seconds in times]
