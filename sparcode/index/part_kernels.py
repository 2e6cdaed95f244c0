"""Compiled loops that do a part of a search alone, so that its time can be told; see `sparcode.index.kernels` for whole searches."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=False)
def sum_lists(
    lists: np.ndarray,
    weights: np.ndarray,
    indptr: np.ndarray,
    ends: np.ndarray,
    item_ids: np.ndarray,
    scores: np.ndarray,
    threshold: np.float32,
    accumulator: np.ndarray,
) -> int:
    """Add the lists (S,) int64 of a query, times their weights (S,) float32, to the sums (I,) float32; returns the postings added."""
    n_read = 0
    for slot in range(len(lists)):
        start, end, weight = indptr[lists[slot]], ends[lists[slot]], weights[slot]
        n_read += end - start
        part = scores[start:end]
        items = item_ids[start:end].view(np.uint32)
        for at in range(len(part)):
            accumulator[items[at]] += weight * (part[at] - threshold)
    return n_read
