"""What a benchmark found: ratios for scripts in .data/bench.json, and words for people in docs/benchmarks.md."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
NUMBERS = ROOT / ".data" / "bench.json"
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

`make bench` measures anew and writes this page and `.data/bench.json`. Each row compares two things in one run on one
machine, in turns, so that a ratio says more than the numbers that it is made of. A section that no benchmark has is
written by hand, and stays.
"""


class Result(msgspec.Struct, frozen=True):
    """``ratio`` is ours against ``against``, the median of a run's; ``spread`` its lowest and highest."""

    name: str
    ratio: float
    against: str
    spread: tuple[float, float]


class Report(msgspec.Struct, frozen=True):
    """A section of the page under its ``title``, and the ratios that it holds; ``missed`` are its broken bounds."""

    title: str
    text: str
    results: tuple[Result, ...] = ()
    missed: tuple[str, ...] = ()


def result_of(name: str, ratios: Sequence[float], against: str) -> Result:
    return Result(name, median(ratios), against, (min(ratios), max(ratios)))


def publish(report: Report) -> None:
    """Put the results in the place of earlier ones of their names, and leave all others."""
    NUMBERS.parent.mkdir(exist_ok=True)
    rows = [*_other_rows({result.name for result in report.results}), *map(_row, report.results)]
    NUMBERS.write_bytes(msgspec.json.format(msgspec.json.encode({"rows": rows})))
    publish_text(report.title, report.text)


def publish_text(name: str, text: str) -> None:
    """Put the words in the place of an earlier run's."""
    PAGE.write_text(with_section(PAGE.read_text() if PAGE.exists() else HEAD, name, text))


def with_section(page: str, name: str, text: str) -> str:
    """The page with these words under this title and all its other sections as they were."""
    title = f"## {name}\n"
    when = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {_machine()}."
    section = f"{title}\n{when}\n\n{text}"
    before, found, rest = page.partition(title)
    after = re.search(r"^## ", rest, re.MULTILINE)
    tail = rest[after.start() :] if found and after else ""
    return f"{before.rstrip()}\n\n{section}" + (f"\n{tail}" if tail else "")


def _row(result: Result) -> dict[str, Any]:
    low, high = result.spread
    spread = [round(low, 3), round(high, 3)]
    return {"name": result.name, "ratio": round(result.ratio, 3), "against": result.against, "spread": spread}


def _other_rows(names: set[str]) -> list[dict[str, Any]]:
    held = msgspec.json.decode(NUMBERS.read_bytes())["rows"] if NUMBERS.exists() else []
    return [row for row in held if row["name"] not in names]


def _machine() -> str:
    """Processor, cores and versions, for whoever compares."""
    model = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo"))
    gigabytes = f", {int(memory[1]) / 2**20:.0f} GB" if memory else ""
    name = model[1] if model else platform.machine()
    return (
        f"{name}, {os.cpu_count()} cores{gigabytes}, {platform.system()}, Python {platform.python_version()}"
    )


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
