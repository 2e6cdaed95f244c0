"""Made-up points of a measurement."""

from __future__ import annotations

import numpy as np

from sparcode.comparison.measuring import Band, Measurement
from sparcode.config import DEFAULT_K


def served(name: str, setting: str, recall: float, milliseconds: float, size_bytes: int = 1_000_000, spread: float = 0.0) -> Measurement:
    """A timed point: every query has the same recall, half of them a little more and half a little less than `recall` by `spread`."""
    by_query = np.full(100, recall)
    by_query[::2] += spread
    by_query[1::2] -= spread
    p50, p95 = (Band(value, 0.95 * value, 1.05 * value) for value in (milliseconds, 2 * milliseconds))
    accuracy = (recall, recall / 2, recall / 4, DEFAULT_K, 100)
    return Measurement(name, setting, *accuracy, size_bytes, p50, p95, 100, 5, recall_by_query=by_query)
