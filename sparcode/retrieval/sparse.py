"""Retrieval from a sparse inverted index, and why an item has its score."""

from __future__ import annotations

import threading

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.block_index import BlockIndex
from sparcode.index.coded_model import CodedModel, merged_codes
from sparcode.index.inverted_index import InvertedIndex, merged
from sparcode.index.pruning import Cut
from sparcode.retrieval.contract import Retrieved, check_k, empty_result
from sparcode.retrieval.explanation import Contribution, Explanation, PostingList, QueryExplanation
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.list_store import ListStore, Unseen
from sparcode.retrieval.searchers import BatchSearch, BlockSearcher, ListSearcher, Searcher

# Queries encoded at a time: where their numbers of codes differ much, all rows are as wide as the longest.
QUERY_BLOCK = 1024


class SparseRetriever:
    """Search in a sparse index: ``y(query, item) = sum over t of w_t * ReLU(E(z_t, item) - tau)`` (SparCode, arXiv 2311.18213).

    Exact for the thresholded model over the stored scores; a code that a query has more than once counts once, with the sum of its weights
    in float32. May be called from several threads.

    Parameters
    ----------
    threshold
        tau, finite and at least the index's floor, compared and subtracted in float32; or a `Cut`, which may also limit the postings per
        list (blocks are limited when they are made, so for them it can only say the same).
    unseen
        ``"compute"`` a code that has no list and keep it (memory grows with every new code), or use the ``"nearest"`` stored code.
    n_threads
        Threads a batch may use; 0: one per processor. A single query always uses one.

    Attributes
    ----------
    threshold
        tau, as float32 has it.
    postings_read
        Postings that were added up so far.
    """

    def __init__(
        self,
        model: CodedModel,
        index: InvertedIndex | BlockIndex,
        threshold: float | Cut,
        unseen: Unseen = "compute",
        n_threads: int = 0,
    ) -> None:
        self._batch = BatchSearch(n_threads)
        self._serve(ListStore(model, index, unseen), threshold)

    def _serve(self, store: ListStore, threshold: float | Cut) -> None:
        cut = threshold if isinstance(threshold, Cut) else Cut(threshold)
        if not np.isfinite(cut.threshold):
            raise ValueError(f"threshold must be a finite number; got {cut.threshold}")
        per_list = cut.per_list
        if isinstance(store.index, BlockIndex):
            # Blocks were cut when they were made; lists computed later are cut as they were.
            if per_list not in (0, store.index.per_list):
                made = store.index.per_list or "all"
                raise ValueError(f"the blocks were made with {made} postings per list and cannot be served with {per_list}")
            per_list = store.index.per_list
        self._store = store
        self._cut = Cut(float(np.float32(cut.threshold)), per_list)
        self.threshold = self._cut.threshold
        self._searcher: Searcher = (
            BlockSearcher(store.index, self.threshold) if isinstance(store.index, BlockIndex) else ListSearcher.of(store.index, *self._cut)
        )
        self._extra: tuple[InvertedIndex | None, Searcher] = (None, self._searcher)
        self._lock = threading.Lock()
        self._unseen_codes: set[int] = set()
        self.postings_read = 0

    @property
    def index(self) -> InvertedIndex | BlockIndex:
        """The index as given, with the lists computed since; blocks without them."""
        store = self._store
        return merged(store.index, store.extra) if store.extra.n_lists and isinstance(store.index, InvertedIndex) else store.index

    @property
    def unseen_codes(self) -> int:
        """Distinct codes met by this retriever that the index as given has no list for."""
        return len(self._unseen_codes)

    @property
    def computed_bytes(self) -> int:
        """Bytes of the lists computed so far for codes that the index as given has no list for."""
        extra = self._store.extra
        return sum(array.nbytes for array in (extra.codes, extra.indptr, extra.item_ids, extra.scores))

    def with_threshold(self, threshold: float | Cut) -> SparseRetriever:
        """The same retriever at another threshold: arrays and computed lists are shared, counters start at 0."""
        other = object.__new__(type(self))
        other._batch = self._batch
        other._serve(self._store, threshold)
        return other

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """See `Retriever`."""
        if len(queries) <= QUERY_BLOCK:
            return self.retrieve_codes(*self._store.model.encode(queries), queries, k, only)
        result = empty_result(len(queries), check_k(k))
        for start in range(0, len(queries), QUERY_BLOCK):
            rows = np.arange(start, min(start + QUERY_BLOCK, len(queries)))
            result.item_ids[rows], result.scores[rows] = self.retrieve(queries.take(rows), k, only)
        return result

    def retrieve_codes(
        self, codes: np.ndarray, weights: np.ndarray, seen: Histories | None, k: int, only: ItemFilter | None = None
    ) -> Retrieved:
        """Retrieve for encoded queries: (B, S) int64 codes and float32 weights, with B rows of items to leave out (None: nothing).

        ValueError if shapes do not fit, a code is negative, a weight is negative or not finite, or `k` is below 1.
        """
        check_k(k)
        codes, weights = merged_codes(codes, weights)
        lists, computed, is_unseen = self._store.resolve(codes)
        if is_unseen is None:
            return self._search(self._searcher, lists, weights, seen, k, only)
        with self._lock:
            self._unseen_codes.update(np.unique(codes[is_unseen]).tolist())
        n_stored = self._store.index.n_lists
        has_extra = (lists >= n_stored).any(axis=1)
        result = empty_result(len(lists), k)
        for of_extra in (False, True):
            rows = np.flatnonzero(has_extra == of_extra)
            if len(rows) == 0:
                continue
            searcher, numbers = self._searcher, lists[rows]
            if of_extra:
                # The lists that these rows use, copied together.
                used, places = np.unique(numbers, return_inverse=True)
                searcher = searcher.gathered(self._extra_of(computed), used[used < n_stored], used[used >= n_stored] - n_stored)
                numbers = places.reshape(numbers.shape)
            some_seen = None if seen is None else seen.take(rows)
            found = self._search(searcher, numbers, weights[rows], some_seen, k, only)
            result.item_ids[rows], result.scores[rows] = found
        return result

    def _search(
        self, searcher: Searcher, lists: np.ndarray, weights: np.ndarray, seen: Histories | None, k: int, only: ItemFilter | None
    ) -> Retrieved:
        found, n_read = self._batch.search(searcher, lists, weights, seen, k, only)
        with self._lock:
            self.postings_read += n_read
        return found

    def _extra_of(self, computed: InvertedIndex) -> Searcher:
        """Computed lists, cut and arranged as the stored ones; list numbers hold for the lists they were resolved with only."""
        with self._lock:
            if self._extra[0] is not computed:
                self._extra = (computed, self._searcher.beside(computed, self._cut.per_list))
            return self._extra[1]

    def time_of_adding(self, codes: np.ndarray, weights: np.ndarray) -> int:
        """Nanoseconds of adding up the lists of one encoded query, (1, S) codes and weights, and no more of the search.

        ValueError for an index of blocks, whose search does not add up whole lists.
        """
        if not isinstance(self._searcher, ListSearcher):
            raise ValueError("the time of adding is known for lists only; this index is in blocks")
        codes, weights = merged_codes(codes, weights)
        lists, computed, _ = self._store.resolve(codes)
        n_stored, used = self._store.index.n_lists, weights[0] > 0
        parts = [(self._searcher, lists[0][used & (lists[0] < n_stored)], weights[0][used & (lists[0] < n_stored)])]
        if (lists >= n_stored).any():
            is_extra = used & (lists[0] >= n_stored)
            parts.append((self._extra_of(computed), lists[0][is_extra] - n_stored, weights[0][is_extra]))
        sums = np.zeros(self._searcher.n_items, dtype=np.float32)
        return sum(searcher.time_of_adding(numbers, shares, sums) for searcher, numbers, shares in parts)

    def explain(self, query: Histories, item: int) -> Explanation:
        """Split an item's score for a query of one row into its lists; ValueError if there is not exactly one row, or no such item."""
        explained = self.explain_query(query, np.array([item]))
        parts = zip(explained.lists, explained.raw_scores[0].tolist(), explained.contributions[0].tolist(), strict=True)
        contributions = tuple(Contribution(one.code, one.served_by, float(one.weight), raw, added) for one, raw, added in parts)
        return Explanation(item, float(explained.scores[0]), bool(np.any(query[0] == item)), contributions)

    def explain_query(self, query: Histories, items: np.ndarray) -> QueryExplanation:
        """The lists of a query of one row, and what each adds to the scores of (n,) items; the sums are those that `retrieve` gives.

        ValueError if there is not exactly one row, or no such item.
        """
        if len(query) != 1:
            raise ValueError(f"query must be one row; got {len(query)}")
        items, n_items = np.asarray(items, dtype=np.int64), self._store.index.n_items
        if len(outside := items[(items < 0) | (items >= n_items)]):
            raise ValueError(f"item must lie in [0, {n_items}); got {outside[0]}")
        codes, weights = merged_codes(*self._store.model.encode(query))
        stored = self._store.index
        lists, computed, _ = self._store.resolve(codes)
        parts = []
        for code, weight, number in zip(codes[0].tolist(), weights[0], lists[0].tolist(), strict=True):
            if weight == 0:  # fills up a short row
                continue
            if number < stored.n_lists:
                searcher, served_by = self._searcher, stored.codes[number]
            else:
                number -= stored.n_lists
                searcher, served_by = self._extra_of(computed), computed.codes[number]
            parts.append(PostingList(code, int(served_by), weight, *searcher.whole_list(number)))
        return QueryExplanation.of(self.threshold, tuple(parts), items)

    def size_bytes(self) -> dict[str, int]:
        """Bytes by part of what serving at the threshold needs (blocks: of all their arrays), computed lists included."""
        store = self._store
        stored = store.index.size_bytes() if isinstance(store.index, BlockIndex) else store.index.size_bytes(*self._cut)
        if store.extra.n_lists == 0:
            return stored
        computed = store.extra.size_bytes(*self._cut)
        if isinstance(store.index, BlockIndex):
            return stored | {"computed_lists": sum(computed.values())}
        return {part: stored[part] + computed[part] for part in stored}
