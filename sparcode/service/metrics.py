"""What the HTTP service counts, in Prometheus's text format; imported after the folder shared by its workers is known."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# Where each worker keeps its counts in a file of its own; read by prometheus_client when it is first imported.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A query takes a tenth of a millisecond, a batch with lists to compute may take a second.
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counters of one application; with the shared folder, what all its workers counted, those that have ended included."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "sparcode_requests",
            "Requests answered, but for those with status 404 or 405.",
            ("path", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "sparcode_request_seconds",
            "Seconds from the call of the handler, when the headers are read, to its answer, which is sent later.",
            ("path",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._queries = Counter("sparcode_queries", "Queries answered, those of a batch counted one by one.", registry=registry)

    def count(self, path: str, status: int, seconds: float, queries: int) -> None:
        """Count one answered request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)
        if queries:
            self._queries.inc(queries)

    def text(self) -> bytes:
        """All figures."""
        if FOLDER_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)
