"""The least a search over posting lists could do: add the same postings to an accumulator, and clear it."""

from __future__ import annotations

import numpy as np
from numba import njit

from sparcode.index.search_arrays import Postings, SearchRows, Workspace


@njit(nogil=True, fastmath=False)
def add_and_clear(rows: SearchRows, postings: Postings, threshold: np.float32, workspace: Workspace) -> None:
    """Add up the lists of every row in a dense accumulator, then set all that was touched to 0; no top k, no seen items.

    Arguments are those of `sparcode.index.kernels.search_lists`, so that handing them over costs the same.
    """
    lists, _, _, _, _ = rows
    indptr, ends, item_ids, scores = postings
    accumulator = workspace.accumulator
    for row in range(len(lists)):
        for slot in range(lists.shape[1]):
            part = slice(indptr[lists[row, slot]], ends[lists[row, slot]])
            own_ids, own_scores = item_ids[part], scores[part]
            for at in range(len(own_ids)):
                accumulator[np.uint32(own_ids[at])] += own_scores[at] - threshold
        for slot in range(lists.shape[1]):
            for item in item_ids[indptr[lists[row, slot]] : ends[lists[row, slot]]]:
                accumulator[np.uint32(item)] = 0
