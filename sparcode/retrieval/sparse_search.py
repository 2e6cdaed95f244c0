"""A batch of queries over the lists of an index: checks, workspaces, several threads."""

from __future__ import annotations

from collections import deque

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.device import thread_pool
from sparcode.index.code_rows import first_bad
from sparcode.index.search_arrays import SearchRows, Workspace, contiguous
from sparcode.retrieval.item_filter import NOBODY, ItemFilter
from sparcode.retrieval.searchers import Searcher
from sparcode.retrieval.top_k import Retrieved, check_k, empty_result, seen_arrays

# Handing rows to a thread costs about as much as searching this many.
MIN_ROWS_PER_THREAD = 16


class Workspaces:
    """Workspaces lent to one search at a time and kept for the next; for searchers that need the same ones."""

    def __init__(self) -> None:
        self._free: deque[Workspace] = deque()

    def take(self, searcher: Searcher, k: int, n_slots: int) -> Workspace:
        """A workspace with room for the search; give it back when that has ended well."""
        try:
            free = self._free.pop()
        except IndexError:
            return searcher.workspace(k, n_slots)
        if len(free.best) > 2 * k and free.positions.shape[1] >= n_slots and len(free.bounds) >= n_slots:
            return free
        return searcher.workspace(max(k, len(free.best) // 2), max(n_slots, free.positions.shape[1]))

    def give(self, workspace: Workspace) -> None:
        """Return a workspace."""
        self._free.append(workspace)


def checked_rows(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and weights of queries as int64 and float32.

    Raises
    ------
    ValueError
        If they are no (B, S) arrays of the same shape, a code is negative, or a weight is negative or not finite.
    """
    codes, weights = np.asarray(codes), np.asarray(weights)
    if codes.ndim != 2 or codes.shape != weights.shape:
        raise ValueError(f"codes and weights must be (B, S) arrays of one shape; got {codes.shape} and {weights.shape}")
    if codes.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers; got dtype {codes.dtype}")
    codes, weights = contiguous(codes, np.int64), contiguous(weights, np.float32)
    bad = first_bad(codes.reshape(-1), weights.reshape(-1))
    if bad >= 0 and codes.flat[bad] < 0:
        raise ValueError(f"codes must not be negative; got {codes.flat[bad]}")
    if bad >= 0:
        raise ValueError(f"weights must be finite and not negative; got {weights.flat[bad]}")
    return codes, weights


def search(
    searcher: Searcher,
    lists: np.ndarray,
    weights: np.ndarray,
    seen: Histories | None,
    k: int,
    workspaces: tuple[Workspaces, int],
    only: ItemFilter | None = None,
) -> tuple[Retrieved, int]:
    """The k best unseen items of every row of lists.

    Parameters
    ----------
    searcher
        Lists cut at a threshold.
    lists
        (B, S) int64, numbers of its lists.
    weights
        (B, S) float32.
    seen
        B rows of items to leave out.
    k
        Items per query.
    workspaces
        Workspaces of that searcher, and the number of threads that may be used; the result is the same for any number.
    only
        Which items may be returned at all; None: every one.

    Returns
    -------
    tuple
        `Retrieved`, ordered by score, then lower item id, only items with a score above 0; and how many postings were added up.
    """
    pool, n_threads = workspaces
    n_rows, n_slots = lists.shape
    result = empty_result(n_rows, check_k(k))
    lists = contiguous(lists, np.int64)
    seen_indptr, seen_items = seen_arrays(seen, n_rows, searcher.n_items)
    denied = NOBODY if only is None else only.denied_of(searcher.n_items)

    def run(rows: SearchRows, found: Retrieved) -> int:
        workspace = pool.take(searcher, k, n_slots)
        n_read = searcher.run(rows, workspace, found)
        pool.give(workspace)
        return n_read

    n_parts = max(1, min(n_threads, n_rows // MIN_ROWS_PER_THREAD))
    if n_parts == 1:
        return result, run(SearchRows(lists, weights, seen_indptr, seen_items, denied), result)
    # Queries differ in cost, so every thread gets several parts.
    n_parts = min(4 * n_parts, n_rows // MIN_ROWS_PER_THREAD)
    parts = [slice(n_rows * part // n_parts, n_rows * (part + 1) // n_parts) for part in range(n_parts)]
    rows = [SearchRows(lists[p], weights[p], seen_indptr[p.start : p.stop + 1], seen_items, denied) for p in parts]
    found = [Retrieved(result.item_ids[p], result.scores[p]) for p in parts]
    return result, sum(thread_pool(n_threads).map(run, rows, found))
