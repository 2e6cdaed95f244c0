"""Popularity: every query gets the items with the most training users."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from sparcode.baselines.history_baseline import HistoryBaseline


class Popularity(HistoryBaseline):
    """An item's score is its number of training users: ``counts_``, (I,) float32, after `fit`."""

    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""
        return {"counts": self.counts_.nbytes}

    def _learn(self, users: csr_array) -> None:
        self.counts_ = np.asarray(users.sum(axis=0), dtype=np.float32)

    def _scores(self, queries: csr_array) -> np.ndarray:
        return np.tile(self.counts_, (queries.shape[0], 1))
