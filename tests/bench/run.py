"""`make bench`: measures each row, prints it, and writes it down for scripts and for people."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import msgspec

from tests.bench import admission, million
from tests.bench.results import Result, publish, publish_text


class Bench(msgspec.Struct, frozen=True):
    """How a row is measured, and the least that its ratio must be."""

    measure: Callable[[], Awaitable[Result]]
    least: float


ROWS = {"admission": Bench(admission.measure, 0.85)}
MILLION = "million"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    known = f"{', '.join(ROWS)}: all of these when none is named; {MILLION}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    names = parser.parse_args().names or list(ROWS)
    if unknown := set(names) - {*ROWS, MILLION}:
        parser.error(f"unknown: {', '.join(unknown)}")
    good = [_million() if name == MILLION else _row(name) for name in names]
    sys.exit(0 if all(good) else 1)


def _row(name: str) -> bool:
    """Whether the row is as good as it must be."""
    result = asyncio.run(_awaited(ROWS[name].measure()))
    publish(result)
    low, high = result.spread
    print(f"{name}: {result.ratio:.3f} of {result.against} ({low:.3f} to {high:.3f})\n\n{result.text}")
    return result.ratio >= ROWS[name].least


def _million() -> bool:
    """Whether each call was counted once."""
    volume = asyncio.run(million.measure())
    publish_text("a million calls", volume.text())
    print(volume.text())
    return volume.is_exact()


async def _awaited(measuring: Awaitable[Result]) -> Result:
    return await measuring


if __name__ == "__main__":
    main()
