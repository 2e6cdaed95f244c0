"""Compiled loops of the index: list search, dense top-k, prefix ends.

All compiled code is in this one file because the on-disk cache of compiled functions only notices changes to a function's own file.
The loops hold no lock of the interpreter and start no threads of their own: callers may run them from several Python threads at
once, which numba's own parallel loops do not survive under every threading layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_SIGN = np.uint32(0x8000_0000)
_LOW = np.uint64(0xFFFF_FFFF)
_MINUS_INFINITY = np.uint32(0xFF80_0000)


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
def _key(bits, item):
    """One number that orders candidates: higher score first, then lower item; `bits` are those of a float32."""
    # Negative zero is zero.
    ordered = np.uint32(bits | _SIGN) if bits <= _SIGN else np.uint32(~bits)
    return (np.uint64(ordered) << np.uint64(32)) | np.uint64(_LOW - np.uint64(item))


@njit(cache=True, nogil=True, fastmath=False)
def _item_of(key):
    return np.int64(_LOW - (key & _LOW))


@njit(cache=True, nogil=True, fastmath=False)
def _bits_of(key):
    ordered = np.uint32(key >> np.uint64(32))
    return np.uint32(ordered ^ _SIGN) if ordered & _SIGN else np.uint32(~ordered)


@njit(cache=True, nogil=True, fastmath=False)
def _sift_down(heap, root, size):
    key = heap[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size:
            child += heap[child + 1] < heap[child]
        if heap[child] >= key:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = key


@njit(cache=True, nogil=True, fastmath=False)
def _offer(heap, size, key):
    """Put a key into a bounded heap whose root is its lowest; returns the new size."""
    if size < len(heap):
        at = size
        while at > 0:
            parent = (at - 1) // 2
            if heap[parent] <= key:
                break
            heap[at] = heap[parent]
            at = parent
        heap[at] = key
        return size + 1
    if key > heap[0]:
        heap[0] = key
        _sift_down(heap, 0, size)
    return size


@njit(cache=True, nogil=True, fastmath=False)
def _write_best_first(heap, size, items, score_bits):
    """Empty the heap into a list, best first, and pad what is left."""
    for at in range(size, len(items)):
        items[at] = -1
        score_bits[at] = _MINUS_INFINITY
    for last in range(size - 1, -1, -1):
        items[last] = _item_of(heap[0])
        score_bits[last] = _bits_of(heap[0])
        heap[0] = heap[last]
        _sift_down(heap, 0, last)


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
    heap = np.empty(max(min(width, n_items), 1), dtype=np.uint64)
    bits = scores.view(np.uint32)
    out_bits = out_scores.view(np.uint32)
    bad_row = -1
    for row in range(n_rows):
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = True
        size = 0
        worst = np.float32(-np.inf)
        for item in range(n_items):
            score = scores[row, item]
            # Items come in ascending order, so a tie with the worst entry of a full heap never gets in.
            if score > worst and not is_seen[item]:
                size = _offer(heap, size, _key(bits[row, item], item))
                if size == len(heap):
                    worst = scores[row, _item_of(heap[0])]
            elif score != score:
                bad_row = row
        _write_best_first(heap, size, out_items[row], out_bits[row])
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
def _collect(postings, row, bits, heap, size):
    """Offer and clear every touched item of one list; clearing on the way keeps an item of two lists from coming twice."""
    worst = _bits_of(heap[0]) if size == len(heap) else np.uint32(1)
    for at in range(postings.indptr[row], postings.ends[row]):
        item = postings.item_ids[at]
        score = bits[item]
        bits[item] = 0
        if score >= worst:
            size = _offer(heap, size, _key(score, item))
            if size == len(heap):
                worst = _bits_of(heap[0])
    return size


@njit(cache=True, nogil=True, fastmath=False)
def _scan(bits, heap):
    """Offer and clear every item of the catalogue with a sum above 0."""
    size = 0
    worst = np.uint32(0)
    for item in range(len(bits)):
        score = bits[item]
        # Items come in ascending order, so a tie with the worst entry of a full heap never gets in.
        if score > worst:
            size = _offer(heap, size, _key(score, item))
            if size == len(heap):
                worst = _bits_of(heap[0])
    bits[:] = 0
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
    heap = np.empty(max(min(out_items.shape[1], len(accumulator)), 1), dtype=np.uint64)
    # Sums are never negative, and the bits of such floats order as whole numbers do.
    bits = accumulator.view(np.uint32)
    out_bits = out_scores.view(np.uint32)
    for row in range(n_rows):
        touched = 0
        for slot in range(n_lists):
            number = rows.lists[row, slot]
            weight = rows.weights[row, slot]
            if weight == 0:  # fills up a short row
                continue
            if number < n_base:
                touched += base.ends[number] - base.indptr[number]
                _accumulate(base, number, weight, threshold, accumulator)
            else:
                touched += extra.ends[number - n_base] - extra.indptr[number - n_base]
                _accumulate(extra, number - n_base, weight, threshold, accumulator)
        for at in range(rows.seen_indptr[row], rows.seen_indptr[row + 1]):
            accumulator[rows.seen_items[at]] = 0
        size = 0
        # A scan reads memory in order, so it wins once the lists hold more postings than there are items.
        if touched > len(accumulator):
            size = _scan(bits, heap)
        else:
            for slot in range(n_lists):
                number = rows.lists[row, slot]
                lists, at = (base, number) if number < n_base else (extra, number - n_base)
                size = _collect(lists, at, bits, heap, size)
        _write_best_first(heap, size, out_items[row], out_bits[row])


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
