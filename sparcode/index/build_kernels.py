"""Compiled loops that build and check an index: scores to sort keys, keys to postings, copies of lists.

All are in this one file because numba's on-disk cache notices changes to a function's own file only. They release the GIL and start no
threads: callers run them from several Python threads, each on lists of its own.

A key is one uint64 per posting: ascending keys are descending scores, ties by ascending item id.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_SIGN = np.uint32(0x8000_0000)
_LOW = np.uint64(0xFFFF_FFFF)
_POWER_ROUNDS = 8


class Lists(NamedTuple):
    """Posting lists as flat arrays: list r is ``[indptr[r], indptr[r + 1])`` of `item_ids` (int32) and `scores` (float32)."""

    indptr: np.ndarray
    item_ids: np.ndarray
    scores: np.ndarray


@njit(cache=True, nogil=True, fastmath=False)
def _key(bits, item):
    """Key of a posting; `bits` are those of its float32 score."""
    # Negative zero is zero.
    ordered = np.uint32(bits | _SIGN) if bits <= _SIGN else np.uint32(~bits)
    return (np.uint64(np.uint32(~ordered)) << np.uint64(32)) | np.uint64(item)


@njit(cache=True, nogil=True, fastmath=False)
def _bits_of(key):
    ordered = np.uint32(~np.uint32(key >> np.uint64(32)))
    return np.uint32(ordered ^ _SIGN) if ordered & _SIGN else np.uint32(~ordered)


@njit(cache=True, nogil=True, fastmath=False)
def count_above(scores: np.ndarray, floor: np.float32, lengths: np.ndarray) -> None:
    """Write into `lengths` (n,) int64 how many scores of every row lie above the floor; `scores` (n, m) float32, no NaN."""
    n_rows, n_columns = scores.shape
    for row in range(n_rows):
        count = 0
        for column in range(n_columns):
            count += scores[row, column] > floor
        lengths[row] = count


@njit(cache=True, nogil=True, fastmath=False)
def write_keys(scores: np.ndarray, item_ids: np.ndarray, floor: np.float32, keys: np.ndarray) -> None:
    """Write the keys of all scores above the floor, row by row.

    Parameters
    ----------
    scores
        (n, m) float32, no NaN.
    item_ids
        (m,) int32, the item of each column.
    keys
        (n_above + 1,) uint64, written; the last entry is scratch.
    """
    n_rows, n_columns = scores.shape
    bits = scores.view(np.uint32)
    at = 0
    for row in range(n_rows):
        for column in range(n_columns):
            # Written always, and overwritten by the next where it does not count: a branch would be guessed wrong too often.
            keys[at] = _key(bits[row, column], item_ids[column])
            at += scores[row, column] > floor


@njit(cache=True, nogil=True, fastmath=False)
def split_keys(keys: np.ndarray, item_ids: np.ndarray, scores: np.ndarray) -> None:
    """Write the item ids (n,) int32 and scores (n,) float32 of keys (n,) uint64."""
    bits = scores.view(np.uint32)
    for at in range(len(keys)):
        item_ids[at] = np.int32(keys[at] & _LOW)
        bits[at] = _bits_of(keys[at])


@njit(cache=True, nogil=True, fastmath=False)
def copy_lists(source: Lists, starts: np.ndarray, item_ids: np.ndarray, scores: np.ndarray) -> None:
    """Copy n lists into `item_ids` and `scores`, list r to ``starts[r]``."""
    for row in range(len(starts)):
        shift = starts[row] - source.indptr[row]
        for at in range(source.indptr[row], source.indptr[row + 1]):
            item_ids[at + shift] = source.item_ids[at]
            scores[at + shift] = source.scores[at]


@njit(cache=True, nogil=True, fastmath=False)
def project_lists(
    indptr: np.ndarray,
    ends: np.ndarray,
    item_ids: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    highest: float,
    directions: np.ndarray,
    vectors: np.ndarray,
) -> None:
    """Add to the vectors (I, D) float32 of every list's items its direction (n_lists, D) times ``(score - threshold) / highest``.

    Of each list the postings up to its end in `ends` count.
    """
    n_dimensions = vectors.shape[1]
    for row in range(len(ends)):
        direction = directions[row]
        for at in range(indptr[row], ends[row]):
            share = np.float32((np.float64(scores[at]) - threshold) / highest)
            vector = vectors[np.uint32(item_ids[at])]
            for dimension in range(n_dimensions):
                vector[dimension] += share * direction[dimension]


@njit(cache=True, nogil=True, fastmath=False)
def project_on_principal(vectors: np.ndarray, step: int, along: np.ndarray) -> None:
    """Write into `along` (n,) float32 where vectors (n, D) float32 lie along the direction in which every `step`-th of them differ most.

    A few rounds of the power method, which need no library: its threads would cost more than so small a matrix.
    """
    n_dimensions = vectors.shape[1]
    sample = vectors[::step]
    centre, direction, sums = np.zeros(n_dimensions), np.zeros(n_dimensions), np.zeros(n_dimensions)
    for row in range(len(sample)):
        for dimension in range(n_dimensions):
            centre[dimension] += sample[row, dimension] / len(sample)
    farthest = 0.0
    for row in range(len(sample)):
        square = 0.0
        for dimension in range(n_dimensions):
            square += (sample[row, dimension] - centre[dimension]) ** 2
        if square > farthest:
            farthest = square
            for dimension in range(n_dimensions):
                direction[dimension] = sample[row, dimension] - centre[dimension]
    for _ in range(_POWER_ROUNDS if farthest > 0 else 0):
        sums[:] = 0
        for row in range(len(sample)):
            share = 0.0
            for dimension in range(n_dimensions):
                share += (sample[row, dimension] - centre[dimension]) * direction[dimension]
            for dimension in range(n_dimensions):
                sums[dimension] += share * (sample[row, dimension] - centre[dimension])
        length = np.sqrt(np.sum(sums * sums))
        if not length > 0:
            break
        direction[:] = sums / length
    for row in range(len(vectors)):
        place = 0.0
        for dimension in range(n_dimensions):
            place += vectors[row, dimension] * direction[dimension]
        along[row] = place


@njit(cache=True, nogil=True, fastmath=False)
def first_wrong(lists: Lists, n_items: int, floor: np.float32) -> int:
    """The first posting that breaks the rules of an index; -1 if none does.

    Item ids lie in [0, n_items), none twice in a list; scores are finite, above the floor and descend, ties by ascending item id.
    """
    last_list = np.full(n_items, -1, dtype=np.int32)
    for row in range(len(lists.indptr) - 1):
        before, item_before = np.float32(np.inf), np.int32(-1)
        for at in range(lists.indptr[row], lists.indptr[row + 1]):
            score, item = lists.scores[at], lists.item_ids[at]
            if not (floor < score < np.inf and 0 <= item < n_items and (score < before or (score == before and item > item_before))):
                return at
            if last_list[item] == row:
                return at
            last_list[item] = row
            before, item_before = score, item
    return -1


@njit(cache=True, nogil=True, fastmath=False)
def first_wrong_list(
    indptr: np.ndarray, segments: np.ndarray, tops: np.ndarray, offsets: np.ndarray, scores: np.ndarray, n_items: int, shift: int
) -> int:
    """The first list that breaks the rules of `sparcode.index.search_arrays.Blocks`; -1 if none does.

    Segments run from 0 to the length of their list without decreasing; item ids lie in [0, n_items), none twice in a list; scores are
    finite and descend within a segment, whose top is its first score.
    """
    n_blocks = tops.shape[1]
    last_segment = np.full(1 << shift, -1, dtype=np.int64)
    for number in range(len(tops)):
        start, length = indptr[number], indptr[number + 1] - indptr[number]
        if segments[number, 0] != 0 or segments[number, n_blocks] != length:
            return number
        for block in range(n_blocks):
            first, last = segments[number, block], segments[number, block + 1]
            # Before any posting is looked at: a position beyond the list would be one beyond the arrays.
            if first > last or last > length or not abs(tops[number, block]) < np.inf:
                return number
            if first == last:
                continue
            n_here = min(1 << shift, n_items - (block << shift))
            bad = not (offsets[start + first] < n_here and scores[start + first] == tops[number, block])
            # No jump out of the loop, so that it takes several postings at a time.
            for at in range(start + first + 1, start + last):
                bad |= (not offsets[at] < n_here) | (not scores[at] <= scores[at - 1])
            if bad or not abs(scores[start + last - 1]) < np.inf:
                return number
            for at in range(start + first, start + last):
                if last_segment[offsets[at]] == number * n_blocks + block:
                    return number
                last_segment[offsets[at]] = number * n_blocks + block
    return -1


def warm_up() -> None:
    """Compile every kernel, or load it from the cache."""
    floor = np.float32(0)
    block = np.zeros((1, 1), dtype=np.float32)
    counts, keys = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.uint64)
    lists = Lists(np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.float32))
    count_above(block, floor, counts)
    write_keys(block, lists.item_ids, floor, keys)
    split_keys(keys, lists.item_ids, lists.scores)
    copy_lists(lists, counts, lists.item_ids, lists.scores)
    first_wrong(lists, 1, floor)
    project_lists(lists.indptr, counts, lists.item_ids, lists.scores, 0.0, 1.0, block, np.zeros((1, 1), dtype=np.float32))
    project_on_principal(block, 1, lists.scores)
    for dtype in (np.float32, np.uint16):
        segments, tops = np.zeros((1, 2), dtype=np.uint32), np.zeros((1, 1), dtype=dtype)
        first_wrong_list(np.zeros(2, dtype=np.int64), segments, tops, np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=dtype), 1, 1)
