"""Evaluate retrievers on held-out queries: accuracy, latency, size; and one index at any threshold."""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import torch

from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet
from sparcode.index.inverted_index import InvertedIndex
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.metrics.codes import dead_share, perplexity, usage_counts
from sparcode.metrics.cost import Latency, measure_latency
from sparcode.metrics.latency_parts import LatencyParts, measure_parts
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.contract import Retriever
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.list_store import Unseen
from sparcode.retrieval.sparse import SparseRetriever

CHECKED_PAIRS: Final = 20_000_000


class Evaluation(NamedTuple):
    """Means at k over `n_queries` queries, single-query `latency` with encoding, and bytes that serving holds, by part."""

    recall: float
    ndcg: float
    precision: float
    k: int
    n_queries: int
    latency: Latency
    size_bytes: dict[str, int]


class ExplorerPoint(NamedTuple):
    """An index at one threshold, measured.

    Attributes
    ----------
    density
        Share of (stored code, item) scores above tau.
    size_bytes
        Bytes by part of what serving at tau needs.
    kept_postings, list_lengths
        Postings above tau, in all and per list, (n_lists,) int64.
    short_results
        Queries that got fewer than k items.
    """

    tau: float
    density: float
    recall: float
    ndcg: float
    precision: float
    size_bytes: dict[str, int]
    kept_postings: int
    list_lengths: np.ndarray
    short_results: int

    @property
    def total_bytes(self) -> int:
        """Sum over parts."""
        return sum(self.size_bytes.values())


class CodeUsage(NamedTuple):
    """How the training queries use the codes.

    `counts` are (M, K) int64 assignments per codeword; `perplexity` and `dead_share` are (M,) float64. `codes_in_use` are the distinct
    composite codes of K**M `possible_codes`, `n_lists` the lists stored.
    """

    counts: np.ndarray
    perplexity: np.ndarray
    dead_share: np.ndarray
    codes_in_use: int
    possible_codes: int
    n_lists: int


def accuracy(retriever: Retriever, evaluation: EvaluationSet, k: int) -> tuple[float, float, float]:
    """Mean recall, NDCG and precision at k of a retriever over an evaluation set."""
    found = retriever.retrieve(evaluation.queries, k).item_ids
    return accuracy_by_query(found, evaluation.targets, k, evaluation.protocol).means()


class DirectCheck(NamedTuple):
    """Mean recall at k of the first `n_queries` queries, through the index and by scoring every item without it."""

    n_queries: int
    through_index: float
    direct: float


def direct_check(retriever: Retriever, model: SparCodeModel, threshold: float, evaluation: EvaluationSet, k: int) -> DirectCheck:
    """Compare a retriever of an index with `SparseDirectScorer`; equal, except for quantized postings.

    On large catalogues direct scoring takes longer than all other measurements together, so `CHECKED_PAIRS` (query, item) pairs at most are
    scored, of the first queries.
    """
    n_queries = min(len(evaluation.queries), max(1, CHECKED_PAIRS // model.n_items))
    first = np.arange(n_queries)
    some = evaluation._replace(
        queries=evaluation.queries.take(first), targets=evaluation.targets.take(first), users=evaluation.users[:n_queries]
    )
    direct = ExactRetriever(SparseDirectScorer(model, threshold))
    return DirectCheck(n_queries, *(accuracy(one, some, k)[0] for one in (retriever, direct)))


def evaluate(retriever: Retriever, evaluation: EvaluationSet, k: int = DEFAULT_K, n_timed: int = 200, seed: int = 0) -> Evaluation:
    """Measure a retriever; at most `n_timed` queries, drawn with the seed, are timed one by one."""
    recall, ndcg, precision = accuracy(retriever, evaluation, k)
    latency = _timed(retriever, evaluation.queries, k, n_timed, seed)
    return Evaluation(recall, ndcg, precision, k, len(evaluation.queries), latency, retriever.size_bytes())


class Explorer:
    """One model and its index, measured at any threshold down to the index's floor: queries are encoded once, tau only cuts lists.

    `train` queries are for code usage; `unseen` says what to do with a code without a list, see `SparseRetriever`.
    """

    def __init__(
        self,
        model: SparCodeModel,
        index: InvertedIndex,
        evaluation: EvaluationSet,
        train: Histories,
        k: int = DEFAULT_K,
        unseen: Unseen = "compute",
    ) -> None:
        self.model, self.index, self.evaluation, self.k = model, index, evaluation, k
        self._train = train
        self._retriever = SparseRetriever(model, index, max(model.threshold, index.floor), unseen)
        self._codes, self._weights = model.encode(evaluation.queries)

    @property
    def default_threshold(self) -> float:
        """The tau of the trained model, at least the floor."""
        return max(self.model.threshold, self.index.floor)

    def at(self, tau: float) -> ExplorerPoint:
        """Exact figures at one threshold; ValueError if tau is below the index's floor."""
        retriever = self._retriever.with_threshold(tau)
        found = retriever.retrieve_codes(self._codes, self._weights, self.evaluation.queries, self.k).item_ids
        recall, ndcg, precision = accuracy_by_query(found, self.evaluation.targets, self.k, self.evaluation.protocol).means()
        lengths = self.index.list_lengths(tau)
        kept = int(lengths.sum())
        density = kept / max(1, self.index.n_lists * self.index.n_items)
        short = int((found[:, -1] < 0).sum())
        return ExplorerPoint(tau, density, recall, ndcg, precision, self.index.size_bytes(tau), kept, lengths, short)

    def retriever_at(self, tau: float) -> SparseRetriever:
        """The index served at one threshold."""
        return self._retriever.with_threshold(tau)

    def latency(self, tau: float, n_calls: int = 200, seed: int = 0) -> Latency:
        """Single-query retrieval at one threshold, encoding included."""
        return _timed(self._retriever.with_threshold(tau), self.evaluation.queries, self.k, n_calls, seed)

    def latency_parts(self, tau: float, n_calls: int = 100, seed: int = 0) -> LatencyParts:
        """The parts of single-query retrieval at one threshold."""
        return measure_parts(self.model, self._retriever.with_threshold(tau), self.evaluation.queries, self.k, n_calls, seed)

    @cached_property
    def usage(self) -> CodeUsage:
        """Code usage of the training queries."""
        return code_usage(self.model, self._train, self.index.n_lists)


def code_usage(model: SparCodeModel, train: Histories, n_lists: int) -> CodeUsage:
    """Code usage of a model's training queries; `n_lists` lists are stored."""
    codes, *size = model.used_codes(train)
    return CodeUsage(
        counts=usage_counts(codes, *size),
        perplexity=perplexity(codes, *size),
        dead_share=dead_share(codes, *size),
        codes_in_use=len(np.unique(codes)),
        possible_codes=size[1] ** size[0],
        n_lists=n_lists,
    )


def _timed(retriever: Retriever, queries: Histories, k: int, n_calls: int, seed: int) -> Latency:
    rows = np.random.default_rng(seed).permutation(len(queries))[:n_calls]
    return measure_latency(
        lambda query: retriever.retrieve(query, k), queries.take(rows), repeats=1, seed=seed, threads=torch.get_num_threads()
    )
