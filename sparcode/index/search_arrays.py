"""What the compiled searches read and write, as named tuples of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

N_BUCKETS = 256
# Room for candidates beyond twice k.
_SPARE = 64


class Postings(NamedTuple):
    """Posting lists with the end of the part that counts.

    Attributes
    ----------
    indptr, ends
        (n_lists + 1,) and (n_lists,) int64: starts of the lists, and the end of each list's part above the threshold.
    item_ids, scores
        (n_postings,) int32 and float32; within a list scores descend.
    """

    indptr: np.ndarray
    ends: np.ndarray
    item_ids: np.ndarray
    scores: np.ndarray


class SearchRows(NamedTuple):
    """Queries as rows of weighted lists, with the items each must not get back.

    Attributes
    ----------
    lists, weights
        (B, S) int64 list numbers, and float32, not negative; a row ends before its first weight of 0.
    seen_indptr, seen_items
        (B + 1,) int64 and (n,) int32: the items that row b must not return are ``seen_items[seen_indptr[b]:seen_indptr[b + 1]]``.
    denied
        (I,) bool, items that no row may return; empty: there are none.
    """

    lists: np.ndarray
    weights: np.ndarray
    seen_indptr: np.ndarray
    seen_items: np.ndarray
    denied: np.ndarray


class Blocks(NamedTuple):
    """Posting lists cut into segments, one per block of ``2**shift`` items, so that a block's sums stay in the cache.

    A score is ``low[list] + step[list] * scores[posting]`` in float32; for float32 scores ``low = 0, step = 1``.

    Attributes
    ----------
    indptr
        (n_lists + 1,) int64, starts of the lists.
    segments
        (n_lists, n_blocks + 1) uint32, starts of the segments within their list.
    tops
        (n_lists, n_blocks), highest score of each segment, as stored; the lowest of the list where it is empty.
    offsets, scores
        (n_postings,) uint16 place within its block, and float32 or uint16, descending within a segment.
    low, step
        (n_lists,) float32.
    item_ids
        (I,) int32, the item at each place of the blocks; empty: items stand in their own order.
    """

    indptr: np.ndarray
    segments: np.ndarray
    tops: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    low: np.ndarray
    step: np.ndarray
    item_ids: np.ndarray


class Workspace(NamedTuple):
    """Scratch arrays of a search, lent to one thread at a time; `is_seen` and `places` serve blocks only.

    Attributes
    ----------
    accumulator
        (I,) float32 for lists, (2**shift,) for blocks; all zeros before and after.
    is_seen
        (I,) bool, all false before and after.
    best
        (n,) uint64, n > 2 k.
    positions
        (2, S) int64.
    bounds
        (n,) float32, at least S and the number of blocks.
    places, buckets, scratch
        (2, n_blocks) int64, (N_BUCKETS,) int64, (1,) float32.
    """

    accumulator: np.ndarray
    is_seen: np.ndarray
    best: np.ndarray
    positions: np.ndarray
    bounds: np.ndarray
    places: np.ndarray
    buckets: np.ndarray
    scratch: np.ndarray


def new_workspace(n_sums: int, n_items: int, k: int, n_slots: int, n_blocks: int = 0) -> Workspace:
    """Zeroed arrays for one thread and at most `k` items and `n_slots` lists per query.

    `n_sums` is the accumulator's length: I for lists, ``2**shift`` for blocks; `n_blocks` is 0 for lists.
    """
    return Workspace(
        np.zeros(n_sums, dtype=np.float32),
        np.zeros(n_items if n_blocks else 0, dtype=np.bool_),
        np.empty(2 * k + _SPARE, dtype=np.uint64),
        np.empty((2, n_slots), dtype=np.int64),
        np.empty(max(n_slots, n_blocks), dtype=np.float32),
        np.empty((2, n_blocks), dtype=np.int64),
        np.empty(N_BUCKETS, dtype=np.int64),
        np.empty(1, dtype=np.float32),
    )
