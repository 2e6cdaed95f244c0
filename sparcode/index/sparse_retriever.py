"""Retrieval from a sparse inverted index, and why an item has its score."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.inverted_index import InvertedIndex, merged
from sparcode.index.kernels import Postings
from sparcode.index.sparse_search import Accumulators, ListStore, Unseen, checked_rows, postings_above, search
from sparcode.index.top_k import Retrieved, check_k

if TYPE_CHECKING:
    from sparcode.retrieval import CodedModel


class Contribution(NamedTuple):
    """What one list adds to an item's score.

    Attributes
    ----------
    code
        The query's code.
    served_by
        The code whose list was used: another one only if the code had no list and the nearest stored one stood in.
    weight
        w_t.
    raw_score
        E(code, item); NaN where it is not above the index's floor, so was not stored.
    contribution
        ``weight * max(raw_score - threshold, 0)``, in float32.
    """

    code: int
    served_by: int
    weight: float
    raw_score: float
    contribution: float


class Explanation(NamedTuple):
    """Why an item has its score; the contributions add up to it in float32, in order.

    Attributes
    ----------
    item_id
        The item.
    score
        y(query, item); 0 if no list holds the item.
    is_seen
        Whether the item is in the query, so that it is never returned.
    contributions
        One per list, in the order of the query's codes.
    """

    item_id: int
    score: float
    is_seen: bool
    contributions: tuple[Contribution, ...]


class SparseRetriever:
    """Search in a sparse inverted index: ``y(query, item) = sum over t of w_t * ReLU(E(z_t, item) - tau)`` (SparCode, arXiv 2311.18213).

    Exact for the thresholded model. May be called from several threads.

    Parameters
    ----------
    model
        The model the index was built from.
    index
        Posting lists.
    threshold
        tau, finite and at least the index's floor; compared and subtracted in float32.
    unseen
        What to do with a code that has no list: ``"compute"`` it and keep it (memory grows with every new code), or go to the ``"nearest"``
        stored code.
    n_threads
        Threads a batch may use; 0 takes one per processor. A single query always uses one.
    """

    def __init__(self, model: CodedModel, index: InvertedIndex, threshold: float, unseen: Unseen = "compute", n_threads: int = 0) -> None:
        if n_threads < 0:
            raise ValueError(f"n_threads must not be negative; got {n_threads}")
        self._n_threads = n_threads or os.cpu_count() or 1
        self._accumulators = Accumulators(index.n_items)
        self._serve(ListStore(model, index, unseen), threshold)

    def _serve(self, store: ListStore, threshold: float) -> None:
        if not np.isfinite(threshold):
            raise ValueError(f"threshold must be a finite number; got {threshold}")
        self._store = store
        self.threshold = float(np.float32(threshold))
        self._base = postings_above(store.index, self.threshold)
        self._extra = (store.extra, postings_above(store.extra, self.threshold))
        self._lock = threading.Lock()
        self._unseen_codes: set[int] = set()
        self.unseen_queries = 0
        self.n_queries = 0

    @property
    def index(self) -> InvertedIndex:
        """The index as given, with the lists computed since."""
        return merged(self._store.index, self._store.extra) if self._store.extra.n_lists else self._store.index

    @property
    def unseen_codes(self) -> int:
        """Distinct codes met by this retriever that the index as given has no list for; `unseen_queries` counts the queries with one."""
        return len(self._unseen_codes)

    def with_threshold(self, threshold: float) -> SparseRetriever:
        """The same retriever at another threshold: arrays and computed lists are shared, counters start at 0."""
        other = object.__new__(type(self))
        other._n_threads = self._n_threads
        other._accumulators = self._accumulators
        other._serve(self._store, threshold)
        return other

    def retrieve(self, queries: Histories, k: int) -> Retrieved:
        """The k best items of every query that are not in it; see `Retriever`."""
        check_k(k)
        return self.retrieve_codes(*self._store.model.encode(queries), queries, k)

    def retrieve_codes(self, codes: np.ndarray, weights: np.ndarray, seen: Histories | None, k: int) -> Retrieved:
        """Retrieve for queries that are encoded already: moving the threshold needs no second encoding.

        Parameters
        ----------
        codes, weights
            (B, S) int64 and float32, as from `CodedModel.encode`.
        seen
            B rows of items to leave out; `None` is nothing.
        k
            Items per query.

        Raises
        ------
        ValueError
            If shapes do not fit, a code is negative, a weight is negative or not finite, or `k` is below 1.
        """
        check_k(k)
        codes, weights = checked_rows(codes, weights)
        lists, extra = self._lists_of(codes)
        return search(lists, weights, (self._base, extra), self.threshold, seen, k, (self._accumulators, self._n_threads))

    def _lists_of(self, codes: np.ndarray) -> tuple[np.ndarray, Postings]:
        """List numbers, and the extra lists they were numbered with."""
        lists, extra, is_unseen = self._store.resolve(codes)
        with self._lock:
            self.n_queries += len(codes)
            if is_unseen.any():
                self._unseen_codes.update(np.unique(codes[is_unseen]).tolist())
                self.unseen_queries += int(is_unseen.any(axis=1).sum())
            if self._extra[0] is not extra:
                self._extra = (extra, postings_above(extra, self.threshold))
            return lists, self._extra[1]

    def explain(self, query: Histories, item: int) -> Explanation:
        """Take an item's score apart into its lists.

        Parameters
        ----------
        query
            One row.
        item
            Item index.

        Raises
        ------
        ValueError
            If there is not exactly one row, or no such item.
        """
        if len(query) != 1:
            raise ValueError(f"query must be one row; got {len(query)}")
        if not 0 <= item < self._store.index.n_items:
            raise ValueError(f"item must lie in [0, {self._store.index.n_items}); got {item}")
        codes, weights = checked_rows(*self._store.model.encode(query))
        lists, extra, _ = self._store.resolve(codes)
        parts = []
        score = np.float32(0)
        for code, weight, number in zip(codes[0], weights[0], lists[0], strict=True):
            if weight == 0:  # fills up a short row
                continue
            holder, row = (self._store.index, number) if number < self._store.index.n_lists else (extra, number - self._store.index.n_lists)
            raw = _raw_score(holder, int(row), item)
            added = weight * (raw - np.float32(self.threshold)) if raw > np.float32(self.threshold) else np.float32(0)
            score += added
            parts.append(Contribution(int(code), int(holder.codes[row]), float(weight), float(raw), float(added)))
        return Explanation(item, float(score), bool(np.any(query[0] == item)), tuple(parts))

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the postings above the threshold and of the list table, computed lists included."""
        stored, computed = (index.size_bytes(self.threshold) for index in (self._store.index, self._store.extra))
        return {part: stored[part] + computed[part] for part in stored} if self._store.extra.n_lists else stored


def _raw_score(index: InvertedIndex, row: int, item: int) -> np.float32:
    start, end = index.indptr[row], index.indptr[row + 1]
    at = np.flatnonzero(index.item_ids[start:end] == item)
    return index.scores[start + at[0]] if len(at) else np.float32(np.nan)
