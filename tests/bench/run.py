"""`make bench`: measures what is named, prints it, and writes it down for scripts and for people."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf

import msgspec

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
    several,
    streams,
)
from tests.bench.results import Report, Result, publish, publish_text

MEASURES: dict[str, Callable[[], Awaitable[Report]]] = {
    "admission": admission.measure,
    "pdfs": pdfs.measure,
    "overhead": overhead.measure,
    "cached": cached.measure,
    "costs": costs.measure,
    "gateway": gateway.measure,
    "growth": growth.measure,
    "creates": creates.measure,
    "several": several.measure,
    "bulk_creates": bulk_creates.measure,
    "connections": connections.measure,
    "streams": streams.measure,
}
# What takes too long to be among all.
LONG: dict[str, Callable[[], Awaitable[Report]]] = {"hour": hour.measure}


class Bound(msgspec.Struct, frozen=True):
    """Within which a ratio must be."""

    least: float = 0.0
    most: float = inf

    def sentence(self, result: Result) -> str:
        """What is wrong with it, or nothing."""
        if result.ratio < self.least:
            return f"{result.name} is {result.ratio:.3f} and must be {self.least} or more."
        if result.ratio > self.most:
            return f"{result.name} is {result.ratio:.3f} and must be {self.most} or less."
        return ""


# By the measure that must find the row: one without a row has failed, and a row that is not here is told alone.
BOUNDS = {
    "admission": {"admission": Bound(least=0.85)},
    "pdfs": {
        "worker_vs_warm_page": Bound(least=0.85),
        "bulk_vs_warm_page": Bound(least=2.5),
        "bulk_vs_new_context": Bound(least=15.0),
    },
    "cached": {"pdf_cached_vs_get": Bound(least=0.5)},
    "costs": {
        "line_of_5000_ms_vs_of_1000": Bound(most=1.25),
        "line_of_5000_mb_vs_of_1000": Bound(most=1.25),
    },
    "gateway": {
        "get_document_vs_floor": Bound(least=0.8),
        "list_documents_vs_floor": Bound(least=0.8),
        "create_document_vs_floor": Bound(least=0.75),
        "send_document_vs_floor": Bound(least=0.6),
        "get_document_vs_fastapi": Bound(least=8.0),
        "list_documents_vs_fastapi": Bound(least=8.0),
        "create_document_vs_fastapi": Bound(least=6.0),
        "one_request_p50_vs_floor": Bound(most=1.5),
        "p99_vs_floor": Bound(most=1.5),
    },
    "growth": {
        "get_document_1m_vs_1k": Bound(most=1.3),
        "list_documents_1m_vs_1k": Bound(most=1.3),
        "filters_1m_vs_1k": Bound(most=1.3),
        "get_document_vs_smallest": Bound(most=1.3),
        "list_documents_vs_smallest": Bound(most=1.3),
        "page_400_vs_smallest": Bound(most=1.3),
        "cursors_vs_smallest": Bound(most=1.3),
        "filters_vs_smallest": Bound(most=1.3),
        "filtered_pages_vs_smallest": Bound(most=1.3),
        "filtered_cursors_vs_smallest": Bound(most=1.3),
        "sorts_vs_smallest": Bound(most=1.3),
        "filters_of_few_vs_smallest": Bound(most=1.3),
        "counted_vs_smallest": Bound(most=1.3),
    },
    "creates": {"create_one_account_vs_64": Bound(least=0.8)},
    "several": {"gateways_2_vs_1": Bound(least=1.6), "gateways_4_vs_1": Bound(least=2.8)},
    "bulk_creates": {
        "bulk_create_vs_single": Bound(least=8.0),
        "bulk_create_clients_vs_single": Bound(least=8.0),
    },
    "connections": {"p99_with_slowloris": Bound(most=2.0)},
    "streams": {"export_rows_per_s_vs_20000": Bound(least=1.0)},
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
    missed = [*report.missed, *broken(BOUNDS.get(name, {}), report.results)]
    print("".join(f"{sentence}\n" for sentence in missed))
    return not missed


def broken(bounds: Mapping[str, Bound], results: Sequence[Result]) -> list[str]:
    """A sentence for each bound that is not kept, or that nothing was found for."""
    found = {result.name: result for result in results}
    sentences = [
        bound.sentence(found[name]) if name in found else f"{name} has not been measured."
        for name, bound in bounds.items()
    ]
    return list(filter(None, sentences))


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
