"""SparCode's index over a grown catalogue at several shares of scores kept.

A query's time depends on its own lists alone. So only the lists of the queries asked are built; the bytes of the whole index follow from
the share kept, and its build time from that of some lists.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from sparcode.comparison.found_share import Codes, found_share, uncut_best
from sparcode.config import PostingsKind
from sparcode.data.interactions import Histories
from sparcode.index.block_index import block_bytes
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import size_of_parts
from sparcode.index.pruning import SCORE_TYPES, Cut, as_served, cut_above
from sparcode.index.score_table import iter_score_blocks
from sparcode.model.grown import grown
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever

# Thresholds are set on at most so many items and codes: scores of grown catalogues have the same distribution.
SAMPLE_ITEMS, SAMPLE_CODES = 10_000, 1_024
# Lists whose build is timed, fewer of a catalogue so large that they would have more scores.
TIMED_LISTS, TIMED_SCORES = 64, 1 << 24
_BLOCK_CODES: Final = 64
_SEED: Final = 1


class IndexAtShare(NamedTuple):
    """The index at one share of scores kept, ready for the queries that were asked.

    `size_bytes` and `build_seconds` are of the index of all codes in use: the former counted, the latter from some of its lists.
    """

    share: float
    retriever: SparseRetriever
    found: float
    size_bytes: int
    build_seconds: float


def whole_bytes(n_lists: int, n_items: int, share: float, postings: PostingsKind) -> int:
    """Bytes of an index that keeps a share of all (code, item) scores, in a layout."""
    n_postings = round(share * n_lists * n_items)
    if postings == "float32":
        return sum(size_of_parts(n_lists, n_postings).values())
    return sum(block_bytes(n_items, n_lists, n_postings, SCORE_TYPES[postings]).values())


class GrownIndex:
    """The index of a model's codes in use, (n,) int64, over catalogues of any size; `n_threads` build it."""

    def __init__(self, model: SparCodeModel, codes: np.ndarray, postings: PostingsKind, n_threads: int) -> None:
        self._model, self._codes, self._postings, self._n_threads = model, codes, postings, n_threads
        self._thresholds: dict[tuple[int, float], float] = {}

    def building_bytes(self, n_items: int, share: float, asked: Histories) -> int:
        """Bytes of the lists that `at_shares` builds for queries: float32 first, whatever the layout."""
        # Growing a catalogue changes no query's codes.
        return whole_bytes(len(np.unique(self._model.encode(asked)[0])), n_items, share, "float32")

    def thresholds(self, n_items: int, shares: Sequence[float]) -> list[float]:
        """The threshold of each share, ascending, on a grown catalogue of that size; of `SAMPLE_ITEMS` random items where it is larger."""
        # The first items alone may be the popular ones. Beyond the trained catalogue scores keep their distribution.
        size = min(n_items, max(self._model.n_items, SAMPLE_ITEMS))
        missing = [share for share in shares if (size, share) not in self._thresholds]
        if missing:
            model, codes = grown(self._model, size, _SEED), self._sample(SAMPLE_CODES)
            items = np.random.default_rng(_SEED).permutation(size)[:SAMPLE_ITEMS]
            scores = np.concatenate([block[:, items] for _, block in iter_score_blocks(model, codes, _BLOCK_CODES)]).ravel()
            for share in missing:
                self._thresholds[size, share] = cut_above(scores, round(share * scores.size))
        return [self._thresholds[size, share] for share in shares]

    def at_shares(
        self, n_items: int, shares: Sequence[float], asked: Histories, k: int, check: Callable[[], None]
    ) -> Iterator[IndexAtShare]:
        """The index at each share, ascending; `check` is called between steps, and raises to end the work."""
        model = grown(self._model, n_items, _SEED)
        queries = Codes(*model.encode(asked))
        best = uncut_best(model, queries, len(queries.codes), k)
        check()
        thresholds = self.thresholds(n_items, shares)
        index = build_index(model, np.unique(queries.codes), thresholds[-1], _BLOCK_CODES, n_threads=self._n_threads)
        for share, threshold in zip(shares, thresholds, strict=True):
            check()
            cut = Cut(threshold)
            retriever = SparseRetriever(model, as_served(index, cut, self._postings), cut, n_threads=1)
            found = found_share(retriever.retrieve_codes(*queries, None, k).item_ids, best)
            size = whole_bytes(len(self._codes), n_items, share, self._postings)
            yield IndexAtShare(share, retriever, found, size, self._build_seconds(model, threshold))

    def _build_seconds(self, model: SparCodeModel, threshold: float) -> float:
        codes = self._sample(min(TIMED_LISTS, max(1, TIMED_SCORES // model.n_items)))
        started = time.perf_counter()
        as_served(build_index(model, codes, threshold, _BLOCK_CODES, n_threads=self._n_threads), Cut(threshold), self._postings)
        return (time.perf_counter() - started) * len(self._codes) / len(codes)

    def _sample(self, n_codes: int) -> np.ndarray:
        if len(self._codes) <= n_codes:
            return self._codes
        return np.sort(np.random.default_rng(_SEED).choice(self._codes, n_codes, replace=False))
