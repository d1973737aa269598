"""`make faults`: plays every case, prints the table and each broken promise, and writes the table into the page."""

import argparse
import asyncio
import secrets
import signal
import sys
import time

from tests.faults import pdfs_run
from tests.faults.cases import CASES
from tests.faults.rounds import Case, Row, play
from tests.faults.table import markdown, publish
from tests.faults.world import World, opened_world


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cases = [case for case in CASES if options.only in case.name]
    print(f"seed {options.seed}", flush=True)
    if options.suite == "pdfs":
        sys.exit(pdfs_run.main(only=options.only, rounds=options.rounds, seed=options.seed))
    rows = asyncio.run(_play_all(cases, options))
    print(f"\n{markdown(rows)}")
    problems = [f"{row.fault}: {problem}" for row in rows for problem in row.problems]
    print("\n".join(problems) or "Every promise was kept.")
    if not options.only and not options.rounds:
        publish(rows, seed=options.seed)
    sys.exit(1 if problems else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument(
        "suite", nargs="?", choices=("counts", "pdfs"), default="counts", help="what the faults are done to"
    )
    parser.add_argument(
        "--seed", default=secrets.token_hex(4), help="the moments of the faults; new each time"
    )
    parser.add_argument("--only", default="", metavar="WORDS", help="the cases whose names have these words")
    parser.add_argument("--rounds", type=int, default=0, help="of each case, instead of its own number")
    return parser.parse_args()


async def _play_all(cases: list[Case], options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    async with opened_world() as world:
        for case in cases:
            began = time.monotonic()
            row = await _played(world, case, options.rounds or case.rounds, options.seed)
            rows.append(row)
            print(f"{time.monotonic() - began:6.1f} s  {markdown([row]).splitlines()[-1]}", flush=True)
            for problem in row.problems[:8]:
                print(f"          {problem}", flush=True)
    return rows


async def _played(world: World, case: Case, rounds: int, seed: str) -> Row:
    """A case that cannot be played to its end is a broken promise as well."""
    try:
        return await play(world, case, rounds, seed)
    except Exception as error:  # noqa: BLE001 - the suite's edge: the other cases are played all the same
        await world.rebuild()
        return Row(case.name, problems=[f"{type(error).__name__}: {error}\n{world.log()}"])


if __name__ == "__main__":
    main()
