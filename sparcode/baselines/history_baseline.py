"""The contract of baselines that score items from a history: fit on training histories, score every item, report bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from sparcode.data.interactions import Histories


class HistoryBaseline(ABC):
    """A scorer of all `n_items` items (known after `fit`) without a network; repeats in a history count once."""

    n_items: int = 0

    def fit(self, histories: Histories) -> Self:
        """Learn from training histories, one row per user.

        ValueError if the settings are not allowed, or the catalogue is empty or too large.
        """
        if histories.n_items == 0:
            raise ValueError("histories must be over a catalogue of at least one item")
        self._learn(user_items(histories))
        self.n_items = histories.n_items
        return self

    def score(self, queries: Histories) -> np.ndarray:
        """Scores of every item, (B, I) float32; ValueError if the queries are over another catalogue."""
        if queries.n_items != self.n_items:
            raise ValueError(f"queries are over a catalogue of {queries.n_items} items; fitted on {self.n_items}")
        return self._scores(user_items(queries).astype(np.float32))

    @abstractmethod
    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""

    @abstractmethod
    def _learn(self, users: csr_array) -> None:
        """Learn from the (users, I) float64 matrix of ones."""

    @abstractmethod
    def _scores(self, queries: csr_array) -> np.ndarray:
        """(B, I) float32 scores of a (B, I) float32 matrix of ones."""


def user_items(histories: Histories) -> csr_array:
    """(B, I) float64 matrix with a one for every item of a history."""
    ones = np.ones(len(histories.items), dtype=np.float64)
    # A copy, since adding up repeats sorts the indices in place.
    matrix = csr_array((ones, histories.items, histories.indptr), shape=(len(histories), histories.n_items), copy=True)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
