"""Figures of an index that was measured earlier, without its model: what a page shows until the same setting is trained here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.measured.curve import Curve, TimedLatency
from app.measured.figures import Figures
from app.models.trained import Recording
from sparcode.config import RunConfig
from sparcode.metrics.evaluation import CodeUsage

KIND: Final = "recorded"


@dataclass(frozen=True, eq=False)
class RecordedFigures:
    """The figures of one setting at every threshold.

    Attributes
    ----------
    curve
        All stops of `KEPT_PERCENTS`, without lengths of lists.
    timed
        Stop -> latency on the recording's machine.
    n_epochs, backbone_epochs
        Of fine-tuning, and of the backbone before it.
    seconds, backbone_seconds
        Processor time of these on one thread.
    backbone_recall
        Of the all-to-all model, which has no codes.
    n_queries
        Test users that accuracies are means over.
    """

    config: RunConfig
    curve: Curve
    usage: CodeUsage
    timed: Mapping[int, TimedLatency]
    k: int
    n_queries: int
    n_epochs: int
    backbone_epochs: int
    seconds: float
    backbone_seconds: float
    backbone_recall: float
    recording: Recording

    @property
    def version(self) -> str:
        """An opaque version key of its figures."""
        return f"{self.config.content_hash()} {KIND} {self.recording.day}"

    @property
    def n_lists(self) -> int:
        """Lists of its index."""
        return self.usage.n_lists

    def latencies(self) -> dict[int, TimedLatency]:
        """Latencies by stop, ascending."""
        return dict(sorted(self.timed.items()))

    def row(self, stop: int) -> int:
        """The row of the curve nearest to a stop, a position in `KEPT_PERCENTS`."""
        return int(np.argmin(np.abs(self.curve.stops - stop)))

    def figures(self, stop: int) -> Figures:
        """All figures at one stop; the latency only if it was timed there."""
        row, curve, timed = self.row(stop), self.curve, self.timed.get(stop)
        return Figures(
            kind=KIND,
            recall=float(curve.recall[row]),
            ndcg=float(curve.ndcg[row]),
            size_bytes=int(curve.size_bytes[row]),
            postings=int(curve.postings[row]),
            p50_ms=None if timed is None else timed.latency.p50_ms,
            p95_ms=None if timed is None else timed.latency.p95_ms,
            codes_in_use=self.usage.codes_in_use,
            perplexity=float(self.usage.perplexity.mean()),
            epochs=self.n_epochs,
        )
