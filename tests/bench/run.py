"""`make bench`: measures what is named, prints it, and writes it down for scripts and for people."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from math import inf

from tests.bench import (
    admission,
    bulk_creates,
    cached,
    connections,
    costs,
    creates,
    gateway,
    growth,
    hour,
    million,
    overhead,
    pdfs,
    streams,
)
from tests.bench.results import Report, publish, publish_text

MEASURES: dict[str, Callable[[], Awaitable[Report]]] = {
    "admission": admission.measure,
    "pdfs": pdfs.measure,
    "overhead": overhead.measure,
    "cached": cached.measure,
    "costs": costs.measure,
    "gateway": gateway.measure,
    "growth": growth.measure,
    "creates": creates.measure,
    "bulk_creates": bulk_creates.measure,
    "connections": connections.measure,
    "streams": streams.measure,
}
# What takes too long to be among all.
LONG: dict[str, Callable[[], Awaitable[Report]]] = {"hour": hour.measure}
# The least that a ratio must be; one that is not here is told and not judged.
LEAST = {
    "admission": 0.85,
    "worker_vs_warm_page": 0.85,
    "bulk_vs_warm_page": 2.5,
    "bulk_vs_new_context": 15.0,
    "pdf_cached_vs_get": 0.5,
    "get_document_vs_floor": 0.8,
    "list_documents_vs_floor": 0.8,
    "create_document_vs_floor": 0.75,
    "send_document_vs_floor": 0.6,
    "get_document_vs_fastapi": 8.0,
    "list_documents_vs_fastapi": 8.0,
    "create_document_vs_fastapi": 6.0,
    "bulk_create_vs_single": 8.0,
    "create_one_account_vs_64": 0.8,
    "export_rows_per_s_vs_20000": 1.0,
}
# The most, where less is better.
MOST = {
    "one_request_p50_vs_floor": 1.5,
    "p99_vs_floor": 1.5,
    "get_document_1m_vs_1k": 1.3,
    "list_documents_1m_vs_1k": 1.3,
    "filters_1m_vs_1k": 1.3,
    "p99_with_slowloris": 2.0,
}
MILLION = "million"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    known = f"{', '.join(MEASURES)}: all of these when none is named; {', '.join(LONG)}, {MILLION}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    names = parser.parse_args().names or list(MEASURES)
    if unknown := set(names) - {*MEASURES, *LONG, MILLION}:
        parser.error(f"unknown: {', '.join(unknown)}")
    good = [_million() if name == MILLION else _measure(name) for name in names]
    sys.exit(0 if all(good) else 1)


def _measure(name: str) -> bool:
    """Whether everything is as good as it must be."""
    report = asyncio.run(_awaited({**MEASURES, **LONG}[name]()))
    publish(report)
    print(f"{report.title}\n\n{report.text}")
    for result in report.results:
        low, high = result.spread
        print(f"{result.name}: {result.ratio:.3f} of {result.against} ({low:.3f} to {high:.3f})")
    missed = [*report.missed, *_below(report), *_above(report)]
    print("".join(f"{sentence}\n" for sentence in missed))
    return not missed


def _below(report: Report) -> list[str]:
    return [
        f"{result.name} must be {LEAST[result.name]} or more."
        for result in report.results
        if result.ratio < LEAST.get(result.name, 0)
    ]


def _above(report: Report) -> list[str]:
    return [
        f"{result.name} must be {MOST[result.name]} or less."
        for result in report.results
        if result.ratio > MOST.get(result.name, inf)
    ]


def _million() -> bool:
    """Whether each call was counted once."""
    volume = asyncio.run(million.measure())
    publish_text("a million calls", volume.text())
    print(volume.text())
    return volume.is_exact()


async def _awaited(measuring: Awaitable[Report]) -> Report:
    return await measuring


if __name__ == "__main__":
    main()
