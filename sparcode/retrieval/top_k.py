"""The best k unseen items of every row of a dense score matrix."""

from __future__ import annotations

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import Histories
from sparcode.index import kernels
from sparcode.retrieval.contract import Retrieved, check_k, empty_result, seen_arrays
from sparcode.retrieval.filters import ItemFilter, denied_items


def top_k(scores: np.ndarray, k: int, seen: Histories | None = None, only: ItemFilter | None = None) -> Retrieved:
    """The k best items of every row of scores, (B, I) float32, without those it has seen; -inf is never returned.

    ValueError if a score is NaN, `k` is below 1 or the shapes do not fit.
    """
    k = check_k(k)
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.dtype.kind != "f":
        raise ValueError(f"scores must be a (B, I) array of floats; got shape {scores.shape}, dtype {scores.dtype}")
    n_rows, n_items = scores.shape
    indptr, items = seen_arrays(seen, n_rows, n_items)
    result = empty_result(n_rows, k)
    is_seen, best = np.zeros(n_items, dtype=np.bool_), np.empty(2 * min(k, n_items) + 64, dtype=np.uint64)
    bad_row = kernels.dense_top_k(contiguous(scores, np.float32), indptr, items, denied_items(only, n_items), is_seen, best, *result)
    if bad_row >= 0:
        raise ValueError(f"scores must be numbers; row {bad_row} holds NaN")
    return result
