"""`make faults ARGS=pdfs`: plays the faults on PDFs, prints what came of each, and writes the table into the page."""

import asyncio
import time

from tests.faults.pdfs import CASES, Row, opened_shop, play
from tests.faults.pdfs_table import markdown, publish
from tests.faults.world import opened_world


def main(*, only: str, rounds: int, seed: str) -> int:
    """The exit code: 0 when every promise was kept."""
    rows = asyncio.run(_play_all(only, rounds, seed))
    print(f"\n{markdown(rows)}")
    problems = [f"{row.fault}: {problem}" for row in rows for problem in row.problems]
    print("\n".join(problems) or "Every promise was kept.")
    if not (only or rounds):
        publish(rows, seed=seed)
    return 1 if problems else 0


async def _play_all(only: str, rounds: int, seed: str) -> list[Row]:
    rows: list[Row] = []
    async with opened_world() as world, opened_shop(world) as shop:
        for case in (case for case in CASES if only in case.name):
            began_s = time.monotonic()
            rows.append(await play(shop, case, rounds or case.rounds, seed))
            row = markdown(rows).splitlines()[-1]
            print(f"{time.monotonic() - began_s:6.1f} s  {row}", flush=True)
    return rows
