"""Recall user by user, differences of it with their error, and times measured in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from app.lessons.bench import Bench
from sparcode.comparison.interleaved_timing import Call, timed_rounds
from sparcode.config import DEFAULT_K, IndexConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import KeepDensity
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.contract import Retriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import build_run_index

TIMED: Final = 60
ROUNDS: Final = 5


class Gain(NamedTuple):
    """A mean difference per user, and its standard error; NaN where there are fewer than two users."""

    mean: float
    error: float


class Times(NamedTuple):
    """Milliseconds of a query, the median over queries of their medians over rounds."""

    encode_ms: float
    search_ms: float
    total_ms: float


def recall_by_user(retriever: Retriever, evaluation: EvaluationSet) -> np.ndarray:
    """(n,) float64 recall at `DEFAULT_K` of every held-out user; NaN for one without a target."""
    found = retriever.retrieve(evaluation.queries, DEFAULT_K).item_ids
    return accuracy_by_query(found, evaluation.targets, DEFAULT_K, evaluation.protocol).recall


def gain_of(ours: np.ndarray, theirs: np.ndarray) -> Gain:
    """The mean difference of the same users' recall, (n,) float64 each."""
    change = (ours - theirs)[~np.isnan(ours - theirs)]
    if len(change) < 2:
        return Gain(float(np.nanmean(ours) - np.nanmean(theirs)), float("nan"))
    return Gain(float(change.mean()), float(change.std(ddof=1) / np.sqrt(len(change))))


def index_of(model: SparCodeModel, bench: Bench, config: IndexConfig | None = None) -> InvertedIndex:
    """The index of all codes that training users use, as the studio builds it."""
    return build_run_index(model, bench.split.train, config or bench.config.index, bench.should_stop)


def served(model: SparCodeModel, index: InvertedIndex, share: float, unseen: str = "compute") -> SparseRetriever:
    """The index served at the threshold that keeps this share of its scores, on one thread."""
    return SparseRetriever(model, index, KeepDensity(share, model.first_list_code).threshold(index), unseen, n_threads=1)


def in_turn(calls: Mapping[str, Call], queries: Histories, bench: Bench, n_timed: int = TIMED, rounds: int = ROUNDS) -> dict[str, Times]:
    """Time single queries of several retrievers in turn, so that other work on the machine meets all of them alike."""
    rows = np.random.default_rng(bench.config.training.seed).permutation(len(queries))[:n_timed]
    parts = list(timed_rounds(calls, queries.take(rows), rounds, check=bench.check))
    times = {}
    for name in calls:
        taken = np.median(np.stack([part[name] for part in parts]), axis=0) / 1e6  # (2, n)
        times[name] = Times(float(np.median(taken[0])), float(np.median(taken[1])), float(np.median(taken.sum(0))))
    return times
