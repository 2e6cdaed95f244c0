"""Compiled selection of the k best unseen items from what an approximate search found.

In a file of its own, with every compiled function it calls, because the on-disk cache of compiled functions only notices changes to a
function's own file.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=False)
def best_unseen(
    found: np.ndarray,
    scores: np.ndarray,
    seen_indptr: np.ndarray,
    seen_items: np.ndarray,
    rows: np.ndarray,
    item_ids_out: np.ndarray,
    scores_out: np.ndarray,
) -> None:
    """Write the best k unseen items of every row, ordered by score, then lower item id; short rows are filled up with -1 and -inf.

    Parameters
    ----------
    found, scores
        (n, W) int64 and float32, best first up to rounding; a negative item is none.
    seen_indptr, seen_items
        (B + 1,) int64 and (m,) int32, the items that each query must not return.
    rows
        (n,) int64, which query each row of `found` belongs to.
    item_ids_out, scores_out
        (B, k) int32 and float32; only the rows named are written.
    """
    k = item_ids_out.shape[1]
    kept_items, kept_scores = np.empty(found.shape[1], np.int32), np.empty(found.shape[1], np.float32)
    for number in range(len(rows)):
        row = rows[number]
        seen = np.sort(seen_items[seen_indptr[row] : seen_indptr[row + 1]])
        size = 0
        for place in range(found.shape[1]):
            item = found[number, place]
            if item < 0:
                continue
            at = np.searchsorted(seen, item)
            if at < len(seen) and seen[at] == item:
                continue
            score = scores[number, place]
            # Nearly in order already, so insertion moves little.
            slot = size
            while slot > 0 and (kept_scores[slot - 1] < score or (kept_scores[slot - 1] == score and kept_items[slot - 1] > item)):
                kept_items[slot], kept_scores[slot] = kept_items[slot - 1], kept_scores[slot - 1]
                slot -= 1
            kept_items[slot], kept_scores[slot] = item, score
            size += 1
        for place in range(k):
            item_ids_out[row, place] = kept_items[place] if place < size else -1
            scores_out[row, place] = kept_scores[place] if place < size else -np.inf


def warm_up() -> None:
    """Compile the function (or load it from the cache), so that no request pays for it."""
    row, item = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64)
    out = np.empty((1, 1), dtype=np.int32), np.empty((1, 1), dtype=np.float32)
    best_unseen(item, np.zeros((1, 1), dtype=np.float32), np.zeros(2, dtype=np.int64), np.zeros(0, dtype=np.int32), row, *out)
