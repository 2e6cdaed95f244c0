"""Search for a batch of queries in lists cut at a threshold, in either layout, on several threads."""

from __future__ import annotations

import os
import time
from collections import deque
from functools import partial
from typing import Protocol

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import Histories, offsets
from sparcode.device import thread_pool
from sparcode.index import kernels, part_kernels
from sparcode.index.block_index import BlockIndex, block_index, n_blocks_of
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.search_arrays import Postings, SearchRows, Workspace, new_workspace
from sparcode.retrieval.contract import Retrieved, check_k, empty_result, seen_arrays
from sparcode.retrieval.filters import ItemFilter, denied_items

# Handing rows to a thread costs about as much as searching this many.
MIN_ROWS_PER_THREAD = 16


class Searcher(Protocol):
    """Lists cut at a threshold, in one of the two layouts."""

    threshold: float
    n_items: int

    def workspace(self, k: int, n_slots: int) -> Workspace:
        """Arrays for a thread that searches for k items in rows of so many lists."""
        ...

    def run(self, rows: SearchRows, workspace: Workspace, result: Retrieved) -> int:
        """Search all rows; returns how many postings were added up."""
        ...

    def beside(self, extra: InvertedIndex, per_list: int) -> Searcher:
        """Lists of an index cut and arranged as these are."""
        ...

    def gathered(self, extra: Searcher, own: np.ndarray, others: np.ndarray) -> Searcher:
        """Copies of some of the lists, followed by some of another searcher's of this kind."""
        ...

    def whole_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Item ids and scores of a list by descending score, down to the floor and at most `per_list` of them."""
        ...


class ListSearcher:
    """Search in lists ordered by score, of which at most `per_list` postings count (0: all)."""

    def __init__(self, postings: Postings, threshold: float, n_items: int, per_list: int = 0) -> None:
        self.threshold, self.n_items = threshold, n_items
        self._postings, self._threshold, self._per_list = postings, np.float32(threshold), per_list
        self._arrays = tuple(postings)

    @classmethod
    def of(cls, index: InvertedIndex, threshold: float, per_list: int = 0) -> ListSearcher:
        """Lists of an index above a threshold, at most `per_list` postings of each (0: all)."""
        ends = index.threshold_ends(threshold, per_list)
        return cls(Postings(index.indptr, ends, index.item_ids, index.scores), threshold, index.n_items, per_list)

    def workspace(self, k: int, n_slots: int) -> Workspace:
        """See `Searcher`."""
        return new_workspace(self.n_items, self.n_items, k, n_slots)

    def run(self, rows: SearchRows, workspace: Workspace, result: Retrieved) -> int:
        """See `Searcher`."""
        return kernels.search_lists(tuple(rows), self._arrays, self._threshold, tuple(workspace), *result)

    def beside(self, extra: InvertedIndex, per_list: int) -> ListSearcher:
        """See `Searcher`."""
        return ListSearcher.of(extra, self.threshold, per_list)

    def gathered(self, extra: ListSearcher, own: np.ndarray, others: np.ndarray) -> ListSearcher:
        """See `Searcher`."""
        parts = [searcher._counting(number) for searcher, numbers in ((self, own), (extra, others)) for number in numbers.tolist()]
        item_ids, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        indptr = offsets([len(part) for part, _ in parts])
        postings = Postings(indptr, indptr[1:].copy(), contiguous(item_ids, np.int32), contiguous(scores, np.float32))
        return ListSearcher(postings, self.threshold, self.n_items)

    def time_of_adding(self, numbers: np.ndarray, weights: np.ndarray, sums: np.ndarray) -> int:
        """Nanoseconds of adding lists (S,), times weights (S,) float32, to the sums (I,) float32."""
        started = time.perf_counter_ns()
        part_kernels.sum_lists(numbers, weights, *self._arrays, self._threshold, sums)
        return time.perf_counter_ns() - started

    def _counting(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(self._postings.indptr[number], self._postings.ends[number])
        return self._postings.item_ids[part], self._postings.scores[part]

    def whole_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Searcher`."""
        start, end = self._postings.indptr[number], self._postings.indptr[number + 1]
        part = slice(start, min(end, start + self._per_list) if self._per_list else end)
        return self._postings.item_ids[part], self._postings.scores[part]


class BlockSearcher:
    """Search in blocks of items; ValueError if the threshold is below the index's floor."""

    def __init__(self, index: BlockIndex, threshold: float) -> None:
        if np.float32(threshold) < np.float32(index.floor):
            raise ValueError(f"threshold must be at least the index's floor {index.floor}; got {threshold}")
        self.threshold, self.n_items = threshold, index.n_items
        self._index, self._arrays, self._threshold = index, tuple(index.arrays), np.float32(threshold)

    def workspace(self, k: int, n_slots: int) -> Workspace:
        """See `Searcher`."""
        shift = self._index.shift
        return new_workspace(1 << shift, self.n_items, k, n_slots, n_blocks_of(self.n_items, shift))

    def run(self, rows: SearchRows, workspace: Workspace, result: Retrieved) -> int:
        """See `Searcher`."""
        return kernels.search_blocks(tuple(rows), self._arrays, self._index.shift, self._threshold, tuple(workspace), *result)

    def beside(self, extra: InvertedIndex, per_list: int) -> BlockSearcher:
        """See `Searcher`."""
        own = self._index
        return BlockSearcher(block_index(extra, self.threshold, own.score_type, per_list, own.shift, own.item_ids), self.threshold)

    def gathered(self, extra: BlockSearcher, own: np.ndarray, others: np.ndarray) -> BlockSearcher:
        """See `Searcher`."""
        one, other = self._index, extra._index
        rows = {
            name: np.concatenate([getattr(one, name)[own], getattr(other, name)[others]]) for name in ("segments", "tops", "low", "step")
        }
        parts = [(index, slice(index.indptr[n], index.indptr[n + 1])) for index, ns in ((one, own), (other, others)) for n in ns.tolist()]
        postings = {name: np.concatenate([getattr(index, name)[part] for index, part in parts]) for name in ("offsets", "scores")}
        indptr = offsets([part.stop - part.start for _, part in parts])
        # Codes play no part in a search.
        codes, floor = np.arange(len(parts), dtype=np.int64), float(np.float32(self.threshold))
        whole = {"item_ids": one.item_ids, "n_items": one.n_items, "shift": one.shift}
        return BlockSearcher(BlockIndex(codes, indptr, **rows, **postings, **whole, floor=floor), self.threshold)

    def whole_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Searcher`."""
        return self._index.posting_list(number)


class BatchSearch:
    """The threads that a batch may use (0: one per processor), and a workspace for each; for searchers that need the same workspaces.

    ValueError if `n_threads` is negative.
    """

    def __init__(self, n_threads: int) -> None:
        if n_threads < 0:
            raise ValueError(f"n_threads must not be negative; got {n_threads}")
        self._n_threads = n_threads or os.cpu_count() or 1
        self._free: deque[Workspace] = deque()

    def search(
        self, searcher: Searcher, lists: np.ndarray, weights: np.ndarray, seen: Histories | None, k: int, only: ItemFilter | None
    ) -> tuple[Retrieved, int]:
        """The k best unseen items with a score above 0 of every row of lists, and how many postings were added up.

        `lists` and `weights` are (B, S) int64 and float32; `seen` holds B rows of items to leave out. Independent of the number of threads.
        """
        n_rows = len(lists)
        result = empty_result(n_rows, check_k(k))
        lists = contiguous(lists, np.int64)
        seen_indptr, seen_items = seen_arrays(seen, n_rows, searcher.n_items)
        denied = denied_items(only, searcher.n_items)

        n_parts = 1 if n_rows < 2 * MIN_ROWS_PER_THREAD else min(self._n_threads, n_rows // MIN_ROWS_PER_THREAD)
        if n_parts == 1:
            return result, self._run(searcher, k, SearchRows(lists, weights, seen_indptr, seen_items, denied), result)
        # Queries differ in cost, so every thread gets several parts.
        n_parts = min(4 * n_parts, n_rows // MIN_ROWS_PER_THREAD)
        parts = [slice(n_rows * part // n_parts, n_rows * (part + 1) // n_parts) for part in range(n_parts)]
        rows = [SearchRows(lists[p], weights[p], seen_indptr[p.start : p.stop + 1], seen_items, denied) for p in parts]
        found = [Retrieved(result.item_ids[p], result.scores[p]) for p in parts]
        return result, sum(thread_pool(self._n_threads).map(partial(self._run, searcher, k), rows, found))

    def _run(self, searcher: Searcher, k: int, rows: SearchRows, result: Retrieved) -> int:
        workspace = self._take(searcher, k, rows.lists.shape[1])
        n_read = searcher.run(rows, workspace, result)
        # Not after an error, which may leave sums in it.
        self._free.append(workspace)
        return n_read

    def _take(self, searcher: Searcher, k: int, n_slots: int) -> Workspace:
        try:
            free = self._free.pop()
        except IndexError:
            return searcher.workspace(k, n_slots)
        if len(free.best) > 2 * k and free.positions.shape[1] >= n_slots and len(free.bounds) >= n_slots:
            return free
        return searcher.workspace(max(k, len(free.best) // 2), max(n_slots, free.positions.shape[1]))
