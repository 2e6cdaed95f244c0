"""One block of scores cut at the floor: sorted keys of what lies above, list by list."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sparcode.index import build_kernels


class BlockCut(NamedTuple):
    """Kept postings of n lists.

    Attributes
    ----------
    keys
        uint64, those of `sparcode.index.ordering.posting_keys`; list after list, ascending within each.
    lengths
        (n,) int64, postings of each list.
    """

    keys: np.ndarray
    lengths: np.ndarray


def cut_block(scores: np.ndarray, item_ids: np.ndarray, floor: np.float32) -> BlockCut:
    """Keep the scores above the floor, sorted; holds no lock of the interpreter for long.

    Parameters
    ----------
    scores
        (n, m) float32, contiguous, no NaN.
    item_ids
        (m,) int32, the item of each column.
    floor
        float32.
    """
    lengths = np.empty(len(scores), dtype=np.int64)
    build_kernels.count_above(scores, floor, lengths)
    ends = np.cumsum(lengths)
    keys = np.empty(int(lengths.sum()) + 1, dtype=np.uint64)
    build_kernels.write_keys(scores, item_ids, floor, keys)
    for start, end in zip(ends - lengths, ends, strict=True):
        keys[start:end].sort()
    return BlockCut(keys[:-1], lengths)


def row_ranges(n_rows: int, n_ranges: int) -> list[tuple[int, int]]:
    """Bounds of at most `n_ranges` runs of nearly equal size that make up `n_rows` rows; none is empty."""
    edges = np.linspace(0, n_rows, min(n_ranges, n_rows) + 1).astype(np.int64).tolist() if n_rows else []
    return list(pairwise(edges))
