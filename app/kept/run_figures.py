"""The figures of a run that is compared with others: its curve over thresholds, and the recall of every test user at its own threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from app.kept.comparable import RunFacts, RunParts
from app.measured.measured_index import ModelFacts, measured_index
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from sparcode.config import DEFAULT_K
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.metrics.evaluation import Explorer

# Every so many stops of the threshold's slider are measured, and every so many of these are timed.
STEP: Final = 8
TIMED_STEP: Final = 3
# The stop of the threshold that a run was trained with.
OWN_STOP: Final = KEPT_PERCENTS.index(DEFAULT_PERCENT)


class RunFigures(NamedTuple):
    """A run measured on this machine.

    Attributes
    ----------
    stops
        (n,) int64 positions in `KEPT_PERCENTS`, ascending; `own` is the place of the run's own threshold among them.
    recall, size_bytes, p50_ms
        (n,) float64 at these stops; the median latency is NaN where it is not timed.
    ndcg, precision
        At the run's own threshold.
    recall_by_user
        (U,) float64, recall at `DEFAULT_K` of every test user at the run's own threshold; NaN for a user who does not count.
    busy
        Whether other jobs ran beside the timing.
    """

    facts: RunFacts
    stops: np.ndarray
    own: int
    recall: np.ndarray
    size_bytes: np.ndarray
    p50_ms: np.ndarray
    ndcg: float
    precision: float
    recall_by_user: np.ndarray
    busy: bool

    @property
    def own_recall(self) -> float:
        """At the run's own threshold, as the next two."""
        return float(self.recall[self.own])

    @property
    def own_bytes(self) -> int:
        """Bytes of its index."""
        return int(self.size_bytes[self.own])

    @property
    def own_ms(self) -> float:
        """Median latency of a query."""
        return float(self.p50_ms[self.own])

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays."""
        return sum(part.nbytes for part in self if isinstance(part, np.ndarray))


def run_figures(parts: RunParts, check: Callable[[], None], busy: Callable[[], bool]) -> RunFigures:
    """Measure a run.

    Parameters
    ----------
    check
        Called between steps; raises to end the work.
    busy
        Whether other jobs are running now.
    """
    config, test = parts.facts.config, parts.split.test
    explorer = Explorer(parts.model, parts.index, test, parts.split.train, unseen=config.index.unseen)
    measured = measured_index(ModelFacts("trained from scratch", config, (), lambda: 0.0, cut_short=False), explorer)
    stops = np.unique([*range(0, len(KEPT_PERCENTS), STEP), OWN_STOP, len(KEPT_PERCENTS) - 1])
    own = int(np.searchsorted(stops, OWN_STOP))
    timed = {own, *range(0, len(stops), TIMED_STEP), len(stops) - 1}
    rows, was_busy = [], False
    for place, stop in enumerate(stops.tolist()):
        check()
        point, latency = measured.point(stop), None
        if place in timed:
            latency = measured.latency(stop, busy())
            was_busy |= latency.busy
        rows.append((point.recall, point.total_bytes, np.nan if latency is None else latency.latency.p50_ms))
    found = explorer.retriever_at(explorer.default_threshold).retrieve(test.queries, DEFAULT_K).item_ids
    accuracy = accuracy_by_query(found, test.targets, DEFAULT_K, test.protocol)
    recall, size_bytes, p50_ms = np.array(rows, dtype=np.float64).T.copy()
    _, ndcg, precision = accuracy.means()
    return RunFigures(parts.facts, stops, own, recall, size_bytes, p50_ms, ndcg, precision, accuracy.recall, was_busy)
