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
MEANS_MB = {"Python": 90.0, "driver of single PDFs": 80.0, "driver of exports": 70.0}


@pytest.mark.parametrize("seed", range(5))
def test_what_breathes_is_flat(seed: int) -> None:
    assert [growth.name for growth in growths(soaked(Random(seed))) if not growth.is_flat] == []


@pytest.mark.parametrize("leaking", MEANS_MB)
@pytest.mark.parametrize("seed", range(5))
def test_a_kilobyte_kept_of_each_pdf_is_not(leaking: str, seed: int) -> None:
    found = growths(soaked(Random(seed), leaking=leaking))
    assert [growth.name for growth in found if not growth.is_flat] == [leaking]


def test_each_part_says_what_it_would_have_seen() -> None:
    starting = Sample(0, 0, Footprint(50, (), 0))
    samples = [starting, *soaked(Random(0))]
    text = report(samples, growths(samples))
    assert "| 1 | 1,710 |" in text
    assert text.count("which is flat; 0.5 kB kept of each PDF would not be.") == 2


def soaked(chance: Random, *, leaking: str = "") -> list[Sample]:
    times = [SAMPLE_S * at for at in range(int(SECONDS / SAMPLE_S))]
    phases = {name: chance.random() for name in MEANS_MB}

    def size_mb(name: str, seconds: float) -> float:
        breath = (seconds / BREATH_S + phases[name]) % 1 * BREATH_MB
        kept_mb = seconds * PRINTS_A_SECOND * KB / MB if name == leaking else 0.0
        return MEANS_MB[name] + breath + kept_mb + chance.gauss(0, NOISE_MB)

    def seen(seconds: float) -> Footprint:
        python, *drivers = (size_mb(name, seconds) for name in MEANS_MB)
        return Footprint(python, tuple(drivers), 600.0)

    assert list(MEANS_MB) == list(PARTS)[:-1]
    return [Sample(seconds, int(seconds * PRINTS_A_SECOND), seen(seconds)) for seconds in times]
