"""Exact retrieval: score every item and take the best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.coded_model import CodedModel, merged_codes
from sparcode.index.score_table import code_scores
from sparcode.retrieval.contract import ReportsBytes, Retrieved, Scorer, check_k, empty_result
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.top_k import top_k

# Dense scores are made this many at a time (64 MiB of float32), however many queries come at once.
MAX_DENSE_SCORES = 1 << 24
# Codes of a query that are added up together: a query with fewer does not wait for the longest one.
SLOTS = 32


class ExactRetriever:
    """Score every item and take the best: exact for any scorer.

    `part_bytes` gives the bytes of the scorer's arrays, by part, where the scorer does not report them itself.
    """

    def __init__(self, scorer: Scorer, part_bytes: Mapping[str, int] | None = None) -> None:
        self.scorer = scorer
        self._part_bytes = part_bytes

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """See `Retriever`."""
        result = empty_result(len(queries), check_k(k))
        step = max(1, MAX_DENSE_SCORES // max(self.scorer.n_items, 1))
        for start in range(0, len(queries), step):
            rows = np.arange(start, min(start + step, len(queries)))
            block = queries.take(rows)
            found = top_k(self.scorer.score(block), k, block, only)
            result.item_ids[rows], result.scores[rows] = found
        return result

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the scorer's arrays, by part; ValueError if neither the scorer nor `part_bytes` gives them."""
        if self._part_bytes is not None:
            return dict(self._part_bytes)
        if not isinstance(self.scorer, ReportsBytes):
            raise ValueError(f"{type(self.scorer).__name__} does not report its bytes; pass part_bytes")
        return self.scorer.size_bytes()


class SparseDirectScorer:
    """The thresholded model scored directly, item by item: what a `SparseRetriever` must agree with."""

    def __init__(self, model: CodedModel, threshold: float) -> None:
        self.n_items = model.n_items
        self.model = model
        self.threshold = threshold

    def score(self, queries: Histories) -> np.ndarray:
        """``y(query, item) = sum over s of w_s * ReLU(E(code_s, item) - tau)``, added in float32 in the order of the codes.

        (B, I) float32. A sum of 0 becomes -inf: no list holds the item, so it is not retrieved.
        """
        codes, weights = merged_codes(*self.model.encode(queries))
        tau, lengths = np.float32(self.threshold), np.count_nonzero(weights, axis=1)
        scores = np.zeros((len(codes), self.n_items), dtype=np.float32)
        step = max(1, MAX_DENSE_SCORES // max(SLOTS * self.n_items, 1))
        for first in range(0, codes.shape[1], SLOTS):
            slots, rows = slice(first, first + SLOTS), np.flatnonzero(lengths > first)
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                distinct, places = np.unique(codes[some, slots], return_inverse=True)
                kept = np.maximum(code_scores(self.model, distinct) - tau, np.float32(0))  # (n, I)
                sums = scores[some]
                for slot_places, slot_weights in zip(places.reshape(len(some), -1).T, weights[some, slots].T, strict=True):
                    sums += slot_weights[:, None] * kept[slot_places]
                scores[some] = sums
        scores[scores == 0] = -np.inf
        return scores
