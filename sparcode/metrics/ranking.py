"""Ranking metrics, one value per query.

All take ``item_ids`` (B, k') int32 best first, with distinct items per row and -1 as padding, ``targets`` (B rows; repeats count once) and
``1 <= k <= k'``; anything else is a ValueError. Queries without targets give NaN (average with ``np.nanmean``).
"""

from __future__ import annotations

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.retrieval.contract import check_k


def recall_at_k(item_ids: np.ndarray, targets: Histories, k: int) -> np.ndarray:
    """Recall@k = hits in the first k / number of targets, also of more than k: (B,) float64 in [0, 1]."""
    hits, n_targets = _hits_within(item_ids, targets, k)
    return _share(hits.sum(axis=1), n_targets)


def precision_at_k(item_ids: np.ndarray, targets: Histories, k: int) -> np.ndarray:
    """Precision@k = hits in the first k / k, also where fewer than k items came back: (B,) float64 in [0, 1]."""
    hits, n_targets = _hits_within(item_ids, targets, k)
    return np.where(n_targets > 0, hits.sum(axis=1) / k, np.nan)


def ndcg_at_k(item_ids: np.ndarray, targets: Histories, k: int) -> np.ndarray:
    """NDCG@k = DCG / ideal DCG, (B,) float64 in [0, 1], with DCG = sum over hits at rank r (from 1) of 1 / log2(r + 1).

    The ideal ranking starts with min(k, number of targets) hits.
    """
    hits, n_targets = _hits_within(item_ids, targets, k)
    gains = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], np.cumsum(gains)])[np.minimum(n_targets, k)]
    return _share(hits @ gains, ideal)


def _hits_within(item_ids: np.ndarray, targets: Histories, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(B, k) bool, which of the first k items are targets, and (B,) int64, the number of distinct targets; -1 is never a hit."""
    item_ids = np.asarray(item_ids)
    if item_ids.ndim != 2 or item_ids.dtype.kind not in "iu" or len(item_ids) != len(targets):
        raise ValueError(
            f"item_ids must be ({len(targets)}, k) integers, a row per query; got shape {item_ids.shape}, dtype {item_ids.dtype}"
        )
    if item_ids.size and (item_ids.min() < -1 or item_ids.max() >= targets.n_items):
        raise ValueError(f"item_ids must lie in [-1, {targets.n_items}); got {item_ids.min()} to {item_ids.max()}")
    if check_k(k) > item_ids.shape[1]:
        raise ValueError(f"k must be at most {item_ids.shape[1]}, the items retrieved per query; got {k}")
    item_ids, n_items = item_ids[:, :k], np.int64(max(targets.n_items, 1))
    keys = np.unique(targets.rows * n_items + targets.items)  # (query, item) as one number
    n_targets = np.bincount(keys // n_items, minlength=len(targets))
    if len(keys) == 0:
        return np.zeros(item_ids.shape, dtype=bool), n_targets
    wanted = np.arange(len(item_ids))[:, None] * n_items + item_ids  # (B, k')
    found = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found & (item_ids >= 0), n_targets


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
