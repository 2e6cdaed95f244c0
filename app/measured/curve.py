"""Figures of one index over its thresholds, at the stops measured so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from sparcode.metrics.cost import Latency
from sparcode.metrics.evaluation import ExplorerPoint
from sparcode.metrics.latency_parts import LatencyParts

N_BINS: Final = 30


class LengthCounts(NamedTuple):
    """Posting lists by length: centres (N_BINS,) float64 postings, counts (N_BINS,) int64 lists; bin width and median in postings.

    The median is NaN without lists.
    """

    centres: np.ndarray
    counts: np.ndarray
    width: float
    median: float


def count_lengths(lengths: np.ndarray, n_items: int) -> LengthCounts:
    """Count lists by length, (n_lists,) integers of at most `n_items`, in bins that do not depend on the threshold."""
    edges = np.linspace(0, max(1, n_items), N_BINS + 1)
    counts, _ = np.histogram(lengths, bins=edges)
    median = float(np.median(lengths)) if len(lengths) else float("nan")
    return LengthCounts((edges[:-1] + edges[1:]) / 2, counts, float(edges[1]), median)


class Curve(NamedTuple):
    """Figures at the stops measured so far, ascending by stop; all but `lengths` are (n,).

    Attributes
    ----------
    stops
        int64, positions in `KEPT_PERCENTS`.
    tau, density, recall, ndcg, precision
        float64.
    size_bytes, postings, short_results
        int64: bytes of the index, scores above tau, queries that got fewer than k items.
    median_length
        float64 postings of the median list; NaN without lists.
    lengths
        (n, N_BINS) int64 lists by length, see `count_lengths`.
    """

    stops: np.ndarray
    tau: np.ndarray
    density: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray
    precision: np.ndarray
    size_bytes: np.ndarray
    postings: np.ndarray
    short_results: np.ndarray
    median_length: np.ndarray
    lengths: np.ndarray

    @classmethod
    def empty(cls) -> Curve:
        """The curve before anything is measured."""
        whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(whole, real, real, real, real, real, whole, whole, whole, real, np.zeros((0, N_BINS), dtype=np.int64))

    def with_points(self, points: Mapping[int, ExplorerPoint], n_items: int) -> Curve:
        """The curve with more stops, position in `KEPT_PERCENTS` -> figures; none of them may be in it already."""
        rows = [_row(stop, point, n_items) for stop, point in points.items()]
        columns = [np.concatenate([old, np.array(new, dtype=old.dtype)]) for old, new in zip(self, zip(*rows, strict=True), strict=True)]
        order = np.argsort(columns[0])
        return Curve(*(column[order] for column in columns))

    def best_under(self, size_bytes: float) -> int | None:
        """The stop of best recall (ties: the smallest) among indexes of at most so many bytes; None if there is none."""
        fits = np.flatnonzero(self.size_bytes <= size_bytes)
        if len(fits) == 0:
            return None
        best = fits[self.recall[fits] == self.recall[fits].max()]
        return int(self.stops[best[np.argmin(self.size_bytes[best])]])

    def smallest_within(self, share: float) -> int | None:
        """The stop of the smallest index (ties: the best recall) that finds this share of the best recall; None without any recall."""
        if not self.recall.any():
            return None
        near = np.flatnonzero(self.recall >= share * self.recall.max())
        smallest = near[self.size_bytes[near] == self.size_bytes[near].min()]
        return int(self.stops[smallest[np.argmax(self.recall[smallest])]])


class TimedLatency(NamedTuple):
    """A latency, whether jobs were running beside the measurement (which makes it an upper bound), and its parts if they were timed."""

    latency: Latency
    busy: bool
    parts: LatencyParts | None = None


def _row(stop: int, point: ExplorerPoint, n_items: int) -> tuple[object, ...]:
    lengths = count_lengths(point.list_lengths, n_items)
    accuracy = (point.recall, point.ndcg, point.precision)
    figures = (point.tau, point.density, *accuracy, point.total_bytes, point.kept_postings, point.short_results)
    return (stop, *figures, lengths.median, lengths.counts)
