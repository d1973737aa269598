"""`make bench`: measures each row, prints it, and writes it down for scripts and for people."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import msgspec

from tests.bench import admission
from tests.bench.results import Result, publish


class Bench(msgspec.Struct, frozen=True):
    """How a row is measured, and the least that its ratio must be."""

    measure: Callable[[], Awaitable[Result]]
    least: float


BENCHES = {"admission": Bench(admission.measure, 0.85)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument(
        "names", nargs="*", choices=[*BENCHES, []], help="the rows to measure; all when none is named"
    )
    results = [_measured(name) for name in parser.parse_args().names or BENCHES]
    sys.exit(0 if all(results) else 1)


def _measured(name: str) -> bool:
    """Whether the row is as good as it must be."""
    result = asyncio.run(_result(BENCHES[name]))
    publish(result)
    low, high = result.spread
    print(f"{name}: {result.ratio:.3f} of {result.against} ({low:.3f} to {high:.3f})\n\n{result.text}")
    return result.ratio >= BENCHES[name].least


async def _result(bench: Bench) -> Result:
    return await bench.measure()


if __name__ == "__main__":
    main()
