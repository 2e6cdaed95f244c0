"""Compiled loops of the index: list search, dense top-k, prefix ends.

All compiled code is in this one file because the on-disk cache of compiled functions only notices changes to a function's own file.
The loops hold no lock of the interpreter and start no threads of their own: callers may run them from several Python threads at
once, which numba's own parallel loops do not survive under every threading layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# A list walk touches memory out of order; a scan of all items reads it in order and is faster per item by about this factor.
SCAN_ADVANTAGE = 4


class Postings(NamedTuple):
    """Posting lists with the end of the part that counts.

    Attributes
    ----------
    indptr
        (n_lists + 1,) int64, starts of the lists.
    ends
        (n_lists,) int64, end of each list's part above the threshold.
    item_ids, scores
        (n_postings,) int32 and float32.
    """

    indptr: np.ndarray
    ends: np.ndarray
    item_ids: np.ndarray
    scores: np.ndarray


class SearchRows(NamedTuple):
    """Queries as rows of weighted lists, with the items each must not get back.

    Attributes
    ----------
    lists
        (B, S) int64, list numbers: below ``n_base`` they are lists of the base postings, from there on of the extra ones.
    weights
        (B, S) float32, not negative.
    seen_indptr, seen_items
        (B + 1,) int64 and (n,) int32: the items that row b must not return are ``seen_items[seen_indptr[b]:seen_indptr[b + 1]]``.
    """

    lists: np.ndarray
    weights: np.ndarray
    seen_indptr: np.ndarray
    seen_items: np.ndarray


@njit(cache=True, nogil=True, fastmath=False)
def _is_worse(score_a, item_a, score_b, item_b):
    return score_a < score_b or (score_a == score_b and item_a > item_b)


@njit(cache=True, nogil=True, fastmath=False)
def _sift_down(scores, items, root, size):
    score = scores[root]
    item = items[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size and _is_worse(scores[child + 1], items[child + 1], scores[child], items[child]):
            child += 1
        if not _is_worse(scores[child], items[child], score, item):
            break
        scores[root] = scores[child]
        items[root] = items[child]
        root = child
    scores[root] = score
    items[root] = item


@njit(cache=True, nogil=True, fastmath=False)
def _offer(scores, items, size, score, item):
    """Put a candidate into a bounded heap whose root is its worst entry; returns the new size."""
    if size < len(scores):
        at = size
        while at > 0:
            parent = (at - 1) // 2
            if not _is_worse(score, item, scores[parent], items[parent]):
                break
            scores[at] = scores[parent]
            items[at] = items[parent]
            at = parent
        scores[at] = score
        items[at] = item
        return size + 1
    if size > 0 and _is_worse(scores[0], items[0], score, item):
        scores[0] = score
        items[0] = item
        _sift_down(scores, items, 0, size)
    return size


@njit(cache=True, nogil=True, fastmath=False)
def _sort_best_first(scores, items, size):
    """Turn the heap into a list, best first, and pad what is left."""
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        items[0], items[last] = items[last], items[0]
        _sift_down(scores, items, 0, last)
    for at in range(size, len(scores)):
        scores[at] = -np.inf
        items[at] = -1


@njit(cache=True, nogil=True, fastmath=False)
def dense_top_k(
    scores: np.ndarray,
    seen_indptr: np.ndarray,
    seen_items: np.ndarray,
    is_seen: np.ndarray,
    out_items: np.ndarray,
    out_scores: np.ndarray,
) -> int:
    """Best unseen items of every row of a dense score matrix.

    Parameters
    ----------
    scores
        (B, I) float32.
    seen_indptr, seen_items
        (B + 1,) int64 and (n,) int32, items each row must not return.
    is_seen
        (I,) bool workspace, all false before and after.
    out_items, out_scores
        (B, k) int32 and float32, written.

    Returns
    -------
    int
        A row that holds NaN, or -1 if there is none.
    """
    n_rows, n_items = scores.shape
    width = out_items.shape[1]
    bad_row = -1
    for row in range(n_rows):
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = True
        heap_scores = out_scores[row]
        heap_items = out_items[row]
        size = 0
        worst = np.float32(-np.inf)
        for item in range(n_items):
            score = scores[row, item]
            # Items come in ascending order, so a tie with the worst entry of a full heap never gets in.
            if score > worst and not is_seen[item]:
                size = _offer(heap_scores, heap_items, size, score, item)
                if size == width:
                    worst = heap_scores[0]
            elif score != score:
                bad_row = row
        _sort_best_first(heap_scores, heap_items, size)
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = False
    return bad_row


@njit(cache=True, nogil=True, fastmath=False)
def list_ends(indptr: np.ndarray, scores: np.ndarray, threshold: np.float32, ends: np.ndarray) -> None:
    """End of each list's prefix with ``score > threshold``; lists descend, so a binary search finds it.

    Parameters
    ----------
    indptr
        (n_lists + 1,) int64.
    scores
        (n_postings,) float32, descending within a list.
    threshold
        float32.
    ends
        (n_lists,) int64, written.
    """
    for row in range(len(ends)):
        low = indptr[row]
        high = indptr[row + 1]
        while low < high:
            middle = (low + high) // 2
            if scores[middle] > threshold:
                low = middle + 1
            else:
                high = middle
        ends[row] = low


@njit(cache=True, nogil=True, fastmath=False)
def _accumulate(postings, row, weight, threshold, accumulator):
    item_ids = postings.item_ids
    scores = postings.scores
    for at in range(postings.indptr[row], postings.ends[row]):
        accumulator[item_ids[at]] += weight * (scores[at] - threshold)


@njit(cache=True, nogil=True, fastmath=False)
def _collect(postings, row, accumulator, scores, items, size):
    """Offer and clear every touched item of one list; clearing on the way keeps an item of two lists from coming twice."""
    for at in range(postings.indptr[row], postings.ends[row]):
        item = postings.item_ids[at]
        score = accumulator[item]
        if score > 0:
            accumulator[item] = 0
            if size < len(scores) or score >= scores[0]:
                size = _offer(scores, items, size, score, item)
    return size


@njit(cache=True, nogil=True, fastmath=False)
def _scan(accumulator, scores, items):
    """Offer and clear every item of the catalogue with a sum above 0."""
    size = 0
    worst = np.float32(0)
    for item in range(len(accumulator)):
        score = accumulator[item]
        if score > worst:
            size = _offer(scores, items, size, score, item)
            if size == len(scores):
                worst = scores[0]
    accumulator[:] = 0
    return size


@njit(cache=True, nogil=True, fastmath=False)
def search_rows(
    rows: SearchRows,
    base: Postings,
    extra: Postings,
    threshold: np.float32,
    accumulator: np.ndarray,
    out_items: np.ndarray,
    out_scores: np.ndarray,
) -> None:
    """Retrieve for every row: add up its lists, leave out what it has seen, keep the best.

    ``y(item) = sum over lists of weight * (score - threshold)``, added in float32 in the order of the row's lists.
    Only items with a sum above 0 are returned; ties go to the lower item id.

    Parameters
    ----------
    rows
        `SearchRows`.
    base, extra
        `Postings`; lists are numbered through, the extra ones last.
    threshold
        float32.
    accumulator
        (I,) float32 workspace, all zeros before and after.
    out_items, out_scores
        (B, k) int32 and float32, written; padded with -1 and -inf.
    """
    n_base = len(base.ends)
    n_rows, n_lists = rows.lists.shape
    for row in range(n_rows):
        touched = 0
        for slot in range(n_lists):
            number = rows.lists[row, slot]
            weight = rows.weights[row, slot]
            if number < n_base:
                touched += base.ends[number] - base.indptr[number]
                _accumulate(base, number, weight, threshold, accumulator)
            else:
                touched += extra.ends[number - n_base] - extra.indptr[number - n_base]
                _accumulate(extra, number - n_base, weight, threshold, accumulator)
        for at in range(rows.seen_indptr[row], rows.seen_indptr[row + 1]):
            accumulator[rows.seen_items[at]] = 0
        size = 0
        if touched * SCAN_ADVANTAGE > len(accumulator):
            size = _scan(accumulator, out_scores[row], out_items[row])
        else:
            for slot in range(n_lists):
                number = rows.lists[row, slot]
                if number < n_base:
                    size = _collect(base, number, accumulator, out_scores[row], out_items[row], size)
                else:
                    size = _collect(extra, number - n_base, accumulator, out_scores[row], out_items[row], size)
        _sort_best_first(out_scores[row], out_items[row], size)


def warm_up() -> None:
    """Compile every kernel (or load it from the cache), so that no request pays for it."""
    indptr = np.zeros(2, dtype=np.int64)
    ids = np.zeros(0, dtype=np.int32)
    floats = np.zeros(0, dtype=np.float32)
    ends = np.zeros(1, dtype=np.int64)
    out_items = np.empty((1, 1), dtype=np.int32)
    out_scores = np.empty((1, 1), dtype=np.float32)
    threshold = np.float32(0)
    list_ends(indptr, floats, threshold, ends)
    postings = Postings(indptr, ends, ids, floats)
    rows = SearchRows(np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.float32), indptr, ids)
    search_rows(rows, postings, postings, threshold, np.zeros(1, dtype=np.float32), out_items, out_scores)
    dense_top_k(np.zeros((1, 1), dtype=np.float32), indptr, ids, np.zeros(1, dtype=bool), out_items, out_scores)
