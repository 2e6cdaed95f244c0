"""The figures of a run that is compared with others: its curve over thresholds, and the recall of every test user at its own threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from app.kept.comparable import RunFacts, RunParts
from app.measured.measured_index import ModelFacts, measured_index
from sparcode.config import DEFAULT_K
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.metrics.evaluation import Explorer

# Every so many stops of the threshold's slider are measured, and every so many of these are timed.
STEP: Final = 8
TIMED_STEP: Final = 3


class RunFigures(NamedTuple):
    """A run measured on this machine.

    Attributes
    ----------
    tau
        (n,) float64 thresholds, ascending; `own` is the place of the run's own among them.
    density, recall, size_bytes, p50_ms
        (n,) float64 at these thresholds: share of scores kept, recall, bytes, and median latency, NaN where it is not timed.
    ndcg, precision
        At the run's own threshold.
    recall_by_user
        (U,) float64, recall at `DEFAULT_K` of every test user at the run's own threshold; NaN for a user who does not count.
    busy
        Whether other jobs ran beside the timing.
    """

    facts: RunFacts
    tau: np.ndarray
    own: int
    density: np.ndarray
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
    usual = measured.stops[[*range(0, len(measured.stops), STEP), -1]]
    tau = np.unique([*usual, explorer.default_threshold])
    measured, own = replace(measured, stops=tau), int(np.searchsorted(tau, explorer.default_threshold))
    timed = {own, *range(0, len(tau), TIMED_STEP), len(tau) - 1}
    rows, was_busy = [], False
    for place in range(len(tau)):
        check()
        point, latency = measured.point(place), None
        if place in timed:
            latency = measured.latency(place, busy())
            was_busy |= latency.busy
        rows.append((point.density, point.recall, point.total_bytes, np.nan if latency is None else latency.latency.p50_ms))
    found = explorer.retriever_at(explorer.default_threshold).retrieve(test.queries, DEFAULT_K).item_ids
    accuracy = accuracy_by_query(found, test.targets, DEFAULT_K, test.protocol)
    density, recall, size_bytes, p50_ms = np.array(rows, dtype=np.float64).T.copy()
    _, ndcg, precision = accuracy.means()
    return RunFigures(parts.facts, tau, own, density, recall, size_bytes, p50_ms, ndcg, precision, accuracy.recall, was_busy)
