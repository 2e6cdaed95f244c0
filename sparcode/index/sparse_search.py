"""Search in an index: codes to lists, codes without a list, workspaces, several threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index import kernels
from sparcode.index.block_index import BlockIndex, block_index, n_blocks_of
from sparcode.index.code_rows import first_bad
from sparcode.index.inverted_index import InvertedIndex, build_index, lists_of_codes
from sparcode.index.item_filter import NOBODY, ItemFilter
from sparcode.index.search_arrays import Postings, SearchRows, Workspace, new_workspace
from sparcode.index.top_k import Retrieved, check_k, empty_result, plain, seen_arrays

if TYPE_CHECKING:
    from sparcode.retrieval import CodedModel

Unseen = Literal["compute", "nearest"]
# Handing rows to a thread costs about as much as searching this many.
MIN_ROWS_PER_THREAD = 16


class ResolvedLists(NamedTuple):
    """Where the lists of some codes are.

    Attributes
    ----------
    lists
        int64, the codes' shape: below the stored index's ``n_lists`` a stored list, from there on a list of `extra`.
    extra
        Lists computed for codes that the stored index does not have.
    is_unseen
        bool, same shape: the code has no list in the stored index; None: every code has one.
    """

    lists: np.ndarray
    extra: InvertedIndex
    is_unseen: np.ndarray | None


class ListStore:
    """The lists of an index, with an answer for codes that have none. Safe to share between threads.

    Parameters
    ----------
    model
        The model the index was built from.
    index
        Stored lists.
    unseen
        ``"compute"``: score the code, keep its list. ``"nearest"``: take the stored code whose vector is nearest
        (L2; ties to the lower code).
    block_codes
        Codes scored at a time.

    Raises
    ------
    ValueError
        If catalogues differ, `unseen` is another word, or ``"nearest"`` has nothing to choose from.
    """

    def __init__(self, model: CodedModel, index: InvertedIndex | BlockIndex, unseen: Unseen = "compute", block_codes: int = 64) -> None:
        if model.n_items != index.n_items:
            raise ValueError(f"the index is over {index.n_items} items; the model has {model.n_items}")
        if unseen not in ("compute", "nearest"):
            raise ValueError(f"unseen must be 'compute' or 'nearest'; got {unseen!r}")
        if unseen == "nearest" and index.n_lists == 0:
            raise ValueError("unseen='nearest' needs an index with at least one list; this one is empty")
        self.model = model
        self.index = index
        self.unseen = unseen
        self._block_codes = block_codes
        self._lock = threading.Lock()
        self._stored_vectors: np.ndarray | None = None
        self._extra = build_index(model, np.zeros(0, dtype=np.int64), index.floor, block_codes)

    @property
    def extra(self) -> InvertedIndex:
        """Lists computed so far for codes the index does not have."""
        return self._extra

    def resolve(self, codes: np.ndarray) -> ResolvedLists:
        """Find a list for every code, computing those that are missing if that is the rule.

        Parameters
        ----------
        codes
            Integers of any shape, not negative.
        """
        lists, n_missing = lists_of_codes(self.index.codes, codes)
        extra = self._extra
        if n_missing == 0:
            return ResolvedLists(lists, extra, None)
        is_unseen = lists < 0
        missing = codes[is_unseen]
        if self.unseen == "nearest":
            lists[is_unseen] = self._nearest(missing)
        else:
            if np.any(extra.rows_of(missing) < 0):
                with self._lock:
                    extra = self._extra = self._extra.add_lists(self.model, missing, self._block_codes)
            lists[is_unseen] = self.index.n_lists + extra.rows_of(missing)
        return ResolvedLists(lists, extra, is_unseen)

    def _nearest(self, codes: np.ndarray) -> np.ndarray:
        with self._lock:
            if self._stored_vectors is None:
                self._stored_vectors = np.asarray(self.model.code_vectors(self.index.codes), dtype=np.float64)
        stored = self._stored_vectors
        distinct, inverse = np.unique(codes, return_inverse=True)
        vectors = np.asarray(self.model.code_vectors(distinct), dtype=np.float64)
        # |v - s|^2 without |v|^2, which is the same for every stored code.
        distances = np.einsum("rd,rd->r", stored, stored) - 2 * vectors @ stored.T  # (n, n_lists)
        return np.argmin(distances, axis=1)[inverse]


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
        """Some of the lists, and some of another searcher's of this kind, copied together in that order."""
        ...

    def whole_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Item ids and scores of a list by descending score: all that is stored of it and not cut off by number."""
        ...


class ListSearcher:
    """Search in lists ordered by score.

    Parameters
    ----------
    postings
        The lists and where they are cut.
    threshold
        tau.
    n_items
        I.
    per_list
        The most postings of a list that count; 0: all.
    """

    def __init__(self, postings: Postings, threshold: float, n_items: int, per_list: int = 0) -> None:
        self.threshold, self.n_items = threshold, n_items
        self._postings, self._threshold, self._per_list = postings, np.float32(threshold), per_list

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
        return kernels.search_lists(rows, self._postings, self._threshold, workspace, result.item_ids, result.scores)

    def beside(self, extra: InvertedIndex, per_list: int) -> ListSearcher:
        """See `Searcher`."""
        return ListSearcher.of(extra, self.threshold, per_list)

    def gathered(self, extra: ListSearcher, own: np.ndarray, others: np.ndarray) -> ListSearcher:
        """See `Searcher`."""
        parts = [searcher._counting(number) for searcher, numbers in ((self, own), (extra, others)) for number in numbers.tolist()]
        item_ids, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        indptr = _starts([len(part) for part, _ in parts])
        postings = Postings(indptr, indptr[1:].copy(), plain(item_ids, np.int32), plain(scores, np.float32))
        return ListSearcher(postings, self.threshold, self.n_items)

    def _counting(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(self._postings.indptr[number], self._postings.ends[number])
        return self._postings.item_ids[part], self._postings.scores[part]

    def whole_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Searcher`."""
        start, end = self._postings.indptr[number], self._postings.indptr[number + 1]
        part = slice(start, min(end, start + self._per_list) if self._per_list else end)
        return self._postings.item_ids[part], self._postings.scores[part]


class BlockSearcher:
    """Search in blocks of items.

    Parameters
    ----------
    index
        The blocks.
    threshold
        tau, at least the index's floor.

    Raises
    ------
    ValueError
        If it is below.
    """

    def __init__(self, index: BlockIndex, threshold: float) -> None:
        if np.float32(threshold) < np.float32(index.floor):
            raise ValueError(f"threshold must be at least the index's floor {index.floor}; got {threshold}")
        self.threshold, self.n_items = threshold, index.n_items
        self._index, self._arrays, self._threshold = index, index.arrays, np.float32(threshold)

    def workspace(self, k: int, n_slots: int) -> Workspace:
        """See `Searcher`."""
        shift = self._index.shift
        return new_workspace(1 << shift, self.n_items, k, n_slots, n_blocks_of(self.n_items, shift))

    def run(self, rows: SearchRows, workspace: Workspace, result: Retrieved) -> int:
        """See `Searcher`."""
        return kernels.search_blocks(rows, self._arrays, self._index.shift, self._threshold, workspace, *result)

    def beside(self, extra: InvertedIndex, per_list: int) -> BlockSearcher:
        """See `Searcher`."""
        return BlockSearcher(block_index(extra, self.threshold, self._index.score_type, per_list, self._index.shift), self.threshold)

    def gathered(self, extra: BlockSearcher, own: np.ndarray, others: np.ndarray) -> BlockSearcher:
        """See `Searcher`."""
        one, other = self._index, extra._index
        rows = {
            name: np.concatenate([getattr(one, name)[own], getattr(other, name)[others]]) for name in ("segments", "tops", "low", "step")
        }
        parts = [(index, slice(index.indptr[n], index.indptr[n + 1])) for index, ns in ((one, own), (other, others)) for n in ns.tolist()]
        postings = {name: np.concatenate([getattr(index, name)[part] for index, part in parts]) for name in ("offsets", "scores")}
        indptr = _starts([part.stop - part.start for _, part in parts])
        # Codes play no part in a search.
        codes, floor = np.arange(len(parts), dtype=np.int64), float(np.float32(self.threshold))
        return BlockSearcher(
            BlockIndex(codes, indptr, **rows, **postings, n_items=one.n_items, floor=floor, shift=one.shift), self.threshold
        )

    def whole_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Searcher`."""
        return self._index.posting_list(number)


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
    codes, weights = plain(codes, np.int64), plain(weights, np.float32)
    bad = first_bad(codes.reshape(-1), weights.reshape(-1))
    if bad >= 0 and codes.flat[bad] < 0:
        raise ValueError(f"codes must not be negative; got {codes.flat[bad]}")
    if bad >= 0:
        raise ValueError(f"weights must be finite and not negative; got {weights.flat[bad]}")
    return codes, weights


def _starts(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


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
    lists = plain(lists, np.int64)
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
    return result, sum(_threads(n_threads).map(run, rows, found))


@cache
def _threads(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="search")


# A forked child has the pools but none of their threads.
os.register_at_fork(after_in_child=_threads.cache_clear)
