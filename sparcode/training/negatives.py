"""Weighted candidates for a sampled softmax.

An item with an expected count of e among the candidates has the weight 1 / e (Bengio and Senecal, 2008): the weighted sum of exponentials
is, in expectation, the sum over the whole catalogue.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import gammaln

from sparcode.data.interactions import Histories

# Between even draws (0) and draws as the data has them (1); the power of word2vec (Mikolov et al., arXiv 1310.4546).
POPULARITY_POWER = 0.75


class Candidates(NamedTuple):
    """(C,) int64 items that a batch is scored on, ascending and distinct; `columns`, (n,) int64, are the places of the batch's targets.

    `log_weights`, (C,) float32, are those of the items as negatives; -inf for an item that is only a target.
    """

    items: np.ndarray
    columns: np.ndarray
    log_weights: np.ndarray


class NegativeSampler:
    """Draws shared negatives by popularity, or takes the items of the batch; batches choose users uniformly.

    ``"popularity"`` draws `n_negatives` with replacement by the 0.75th power of an item's number of training users (0 counts
    as 1). ``"batch"`` takes every item of the batch's users once, so never an item without training users.
    """

    def __init__(self, histories: Histories, kind: Literal["popularity", "batch"], n_negatives: int) -> None:
        self._kind, self._n_negatives, self._n_users = kind, n_negatives, len(histories)
        self._counts = np.bincount(histories.items, minlength=histories.n_items)
        self._bounds = np.cumsum(np.maximum(self._counts, 1) ** POPULARITY_POWER)

    def draw(self, targets: Histories, rng: np.random.Generator) -> Candidates:
        """Candidates of a batch; ``"batch"`` does not use `rng`."""
        items, columns = np.unique(targets.items, return_inverse=True)
        if self._kind == "batch":
            return Candidates(items.astype(np.int64), columns, -self._log_inclusion(items, len(targets)).astype(np.float32))
        drawn, times = np.unique(self._pick(rng), return_counts=True)
        candidates = np.union1d(items, drawn).astype(np.int64)
        log_weights = np.full(len(candidates), -np.inf, dtype=np.float32)
        expected = self._n_negatives * np.diff(self._bounds, prepend=0)[drawn] / self._bounds[-1]
        log_weights[np.searchsorted(candidates, drawn)] = np.log(times / expected)
        return Candidates(candidates, np.searchsorted(candidates, items)[columns], log_weights)

    def _pick(self, rng: np.random.Generator) -> np.ndarray:
        place = rng.random(self._n_negatives) * self._bounds[-1]
        return np.searchsorted(self._bounds, place, side="right").clip(max=len(self._bounds) - 1)

    def _log_inclusion(self, items: np.ndarray, batch_size: int) -> np.ndarray:
        """(C,) log probability that an item is in a batch with a given user who does not have it.

        Of the others' ``C(U - 1, B - 1)`` choices, ``C(U - 1 - count, B - 1)`` leave out everyone who has the item.
        """
        others, chosen = self._n_users - 1, batch_size - 1
        left = others - self._counts[items]
        possible = left >= chosen
        left = np.where(possible, left, chosen)
        log_missed = gammaln(left + 1) - gammaln(left - chosen + 1) - gammaln(others + 1) + gammaln(others - chosen + 1)
        included = np.where(possible, -np.expm1(np.minimum(log_missed, 0)), 1.0)
        # Zero only where an item is in no batch but that of its own user, whose target it is.
        return np.log(np.maximum(included, np.finfo(np.float64).tiny))
