"""Recall, NDCG and precision of retrieved items, counted by an evaluation protocol."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparcode.data.evaluation_protocol import STRONG, EvaluationProtocol
from sparcode.data.interactions import Histories
from sparcode.metrics.ranking import ndcg_at_k, precision_at_k, recall_at_k


class Accuracy(NamedTuple):
    """(B,) float64 each, one value per query in [0, 1]; NaN for a query that is left out of the means."""

    recall: np.ndarray
    ndcg: np.ndarray
    precision: np.ndarray

    def means(self) -> tuple[float, float, float]:
        """Mean recall, NDCG and precision."""
        return tuple(float(np.nanmean(values)) for values in self)


def accuracy_by_query(item_ids: np.ndarray, targets: Histories, k: int, protocol: EvaluationProtocol = STRONG) -> Accuracy:
    """Accuracy at k of each query, from (B, k or more) int32 `item_ids`, best first, -1 as padding.

    The protocol says what precision divides by, and whether queries without targets count.
    """
    recall, ndcg, precision = (measure(item_ids, targets, k) for measure in (recall_at_k, ndcg_at_k, precision_at_k))
    if protocol.precision_by_targets:
        precision = precision * k / np.clip(targets.lengths, 1, k)
    found = Accuracy(recall, ndcg, precision)
    return Accuracy(*map(np.nan_to_num, found)) if protocol.counts_users_without_targets else found


def recall_by_query(item_ids: np.ndarray, targets: Histories, k: int, protocol: EvaluationProtocol = STRONG) -> np.ndarray:
    """The recall of `accuracy_by_query` alone, (B,) float64: a third of the work."""
    recall = recall_at_k(item_ids, targets, k)
    return np.nan_to_num(recall) if protocol.counts_users_without_targets else recall
