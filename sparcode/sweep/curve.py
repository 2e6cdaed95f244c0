"""The threshold curve of a trained model: accuracy, latency and size at some shares of its index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sparcode.config import RunConfig
from sparcode.data.split import EvaluationSet
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut
from sparcode.metrics.evaluation import evaluate
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.sweep.record import CurvePoint
from sparcode.training.pipeline import serve

# Shares of the stored scores that are kept, beside those above the model's own threshold.
SHARES: Final = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01)
TIMED_QUERIES: Final = 100


def threshold_curve(
    model: SparCodeModel, index: InvertedIndex, evaluation: EvaluationSet, config: RunConfig, k: int, check: Callable[[], None]
) -> tuple[CurvePoint, ...]:
    """Measure a model at each of `SHARES` and at its own threshold, by falling size; thresholds that say the same are measured once.

    `check` is called before each point, and may raise. Latency is the median of single queries, encoding included, while whatever else
    runs on the machine runs.
    """
    own = float(np.float32(max(model.threshold, index.floor)))
    found = _thresholds(index)
    # The model's own comes last, and stands for others that keep the same scores.
    thresholds = {index.kept_postings(threshold): threshold for threshold in [*found, own]}
    served, points = serve(model, index, config.index, Cut(own), n_threads=1), []
    for threshold in sorted(thresholds.values()):
        check()
        if config.index.postings == "float32":
            # Lists that were computed for codes of validation users alone are shared, and are no part of the index.
            retriever, size = served.with_threshold(Cut(threshold)), index.size_bytes(threshold)
        else:
            retriever = serve(model, index, config.index, Cut(threshold), n_threads=1)
            size = retriever.size_bytes()
        measured = evaluate(retriever, evaluation, k, TIMED_QUERIES)
        figures = {"recall": measured.recall, "ndcg": measured.ndcg, "p50_ms": measured.latency.p50_ms}
        points.append(CurvePoint(threshold=threshold, **figures, size_bytes=sum(size.values()), is_own=threshold == own))
    return tuple(points)


def _thresholds(index: InvertedIndex) -> list[float]:
    """The lowest thresholds with at most each of `SHARES` of the stored scores above them."""
    n_scores = len(index.scores)
    # An empty index answers nothing: at least one score stays.
    dropped = [n_scores - max(1, round(share * n_scores)) for share in SHARES] if n_scores else []
    ordered = np.partition(index.scores, [n - 1 for n in dropped if n]) if any(dropped) else index.scores
    return [float(ordered[n - 1]) if n else index.floor for n in dropped]
