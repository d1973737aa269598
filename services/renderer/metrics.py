"""What an operator watches of one worker, in Prometheus's text format; ``queue`` tells single PDFs from exports."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# From a document on a quiet machine to the longest that a caller waits.
BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40)
LABEL = "queue"
GAUGES = {
    "invouno_render_queue_up": "1 while the worker reaches its queue.",
    "invouno_render_queue_jobs": "Jobs on the queue, those under way among them.",
    "invouno_render_queue_oldest_seconds": "How long the first of them has been there.",
    "invouno_renderer_pages": "Pages that the worker prints on at the same time.",
    "invouno_renderer_memory_bytes": "Memory of the browsers' own when they were last looked at.",
    "invouno_renderer_idle_seconds": "Since a page was last used.",
}

Reading = Callable[[], dict[str, float]]


class Metrics(Collector):
    """Counted where it happens, or read when it is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.wait_s = self._histogram("invouno_render_wait_seconds", "From the queue to a worker.")
        self.job_s = self._histogram("invouno_render_job_seconds", "From a worker to the store.")
        self.print_s = self._histogram("invouno_render_print_seconds", "Each use of a browser's page.")
        self.failures: dict[tuple[str, str], int] = {}
        self.replaced: dict[str, Callable[[], dict[str, int]]] = {}
        self.readings: dict[str, Reading] = {}
        self.registry.register(self)

    def fail(self, queue: str, reason: str) -> None:
        self.failures[queue, reason] = self.failures.get((queue, reason), 0) + 1

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        failures = CounterMetricFamily(
            "invouno_render_failures",
            "Jobs and documents of exports that came to no PDF.",
            labels=(LABEL, "reason"),
        )
        for (queue, reason), count in self.failures.items():
            failures.add_metric((queue, reason), count)
        replaced = CounterMetricFamily(
            "invouno_renderer_browsers_replaced", "Browsers that were replaced.", labels=(LABEL, "reason")
        )
        for queue, counts in self.replaced.items():
            for reason, count in counts().items():
                replaced.add_metric((queue, reason), count)
        return [failures, replaced, *self._gauges()]

    def _gauges(self) -> Iterable[Metric]:
        read = {queue: reading() for queue, reading in self.readings.items()}
        for name, meaning in GAUGES.items():
            gauge = GaugeMetricFamily(name, meaning, labels=(LABEL,))
            for queue, values in read.items():
                if name in values:
                    gauge.add_metric((queue,), values[name])
            yield gauge

    def _histogram(self, name: str, meaning: str) -> Any:
        return Histogram(name, meaning, (LABEL,), buckets=BUCKETS_S, registry=self.registry)


def since_s(then_s: float) -> float:
    return max(0.0, time.monotonic() - then_s)
