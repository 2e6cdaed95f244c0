"""Scores of queries added up code by code, where codes are many and each is scored once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

# Scores of codes that are added up for queries, 16 MiB of float32: more at a time take twice as long.
MAX_ADDED_SCORES = 1 << 22


def added_scores(
    score_codes: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, weights: np.ndarray, tau: np.float32, n_items: int
) -> np.ndarray:
    """``sum over s of w_s * ReLU(E(code_s, item) - tau)`` of queries with (B, S) codes and weights: (B, I) float32.

    `score_codes` gives E, (n, I) float32; each code is scored once, so many at a time that memory is bounded.
    """
    step = max(1, MAX_ADDED_SCORES // n_items)
    sums = np.zeros((len(codes), n_items), np.float32)
    rows, slots = np.nonzero(weights)
    distinct, columns = np.unique(codes[rows, slots], return_inverse=True)
    shares = csr_array((weights[rows, slots], (rows, columns)), shape=(len(codes), len(distinct)))
    for start in range(0, len(distinct), step):
        some = slice(start, start + step)
        part = shares[:, some]
        users = np.flatnonzero(np.diff(part.indptr))
        sums[users] += part[users] @ np.maximum(score_codes(distinct[some]) - tau, np.float32(0))
    return sums
