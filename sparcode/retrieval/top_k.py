"""The best k unseen items of every row of a dense score matrix, and the result type of every retrieval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index import kernels
from sparcode.index.search_arrays import contiguous
from sparcode.retrieval.item_filter import NOBODY, ItemFilter

PADDING_ID = -1
PADDING_SCORE = -np.inf
# Shared by all searches, none of which writes on them.
_NOTHING_SEEN = np.zeros(2, dtype=np.int64)
_NO_ITEMS = np.zeros(0, dtype=np.int32)


class Retrieved(NamedTuple):
    """Items per query, best first: ordered by score, then lower item id.

    Attributes
    ----------
    item_ids
        (B, k) int32; -1 where a query has fewer than k items.
    scores
        (B, k) float32; -inf there.
    """

    item_ids: np.ndarray
    scores: np.ndarray


def check_k(k: int) -> int:
    """`k` as an int.

    Raises
    ------
    ValueError
        If `k` is not a whole number of at least 1.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1; got {k!r}")
    return int(k)


def seen_arrays(seen: Histories | None, n_rows: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """``(indptr, items)`` of what each row must not return; `None` is nothing.

    Raises
    ------
    ValueError
        If `seen` has another number of rows or another catalogue.
    """
    if seen is None:
        return (_NOTHING_SEEN if n_rows == 1 else np.zeros(n_rows + 1, dtype=np.int64)), _NO_ITEMS
    if len(seen) != n_rows:
        raise ValueError(f"seen must have one row per query, {n_rows}; got {len(seen)}")
    if seen.n_items != n_items:
        raise ValueError(f"seen is over a catalogue of {seen.n_items} items; the scores are over {n_items}")
    return contiguous(seen.indptr, np.int64), contiguous(seen.items, np.int32)


def empty_result(n_rows: int, k: int) -> Retrieved:
    """Unwritten arrays for `n_rows` results."""
    return Retrieved(np.empty((n_rows, k), dtype=np.int32), np.empty((n_rows, k), dtype=np.float32))


def top_k(scores: np.ndarray, k: int, seen: Histories | None = None, only: ItemFilter | None = None) -> Retrieved:
    """The k best items of every row, without those it has seen.

    Parameters
    ----------
    scores
        (B, I) float32, higher is better. A score of -inf is never returned.
    k
        Items per row, at least 1; more than there are is padded.
    seen
        B rows of items to leave out.
    only
        Which items may be returned at all; None: every one.

    Returns
    -------
    Retrieved
        Ordered by score, then lower item id; padded with -1 and -inf.

    Raises
    ------
    ValueError
        If a score is NaN, `k` is below 1 or the shapes do not fit.
    """
    k = check_k(k)
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.dtype.kind != "f":
        raise ValueError(f"scores must be a (B, I) array of floats; got shape {scores.shape}, dtype {scores.dtype}")
    n_rows, n_items = scores.shape
    indptr, items = seen_arrays(seen, n_rows, n_items)
    result = empty_result(n_rows, k)
    denied = NOBODY if only is None else only.denied_of(n_items)
    is_seen, best = np.zeros(n_items, dtype=np.bool_), np.empty(2 * min(k, n_items) + 64, dtype=np.uint64)
    bad_row = kernels.dense_top_k(contiguous(scores, np.float32), indptr, items, denied, is_seen, best, *result)
    if bad_row >= 0:
        raise ValueError(f"scores must be numbers; row {bad_row} holds NaN")
    return result
