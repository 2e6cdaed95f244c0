"""What the index needs of a trained SparCode model."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sparcode.data.interactions import Histories


class CodedModel(Protocol):
    """What the index needs of a trained SparCode model."""

    n_items: int

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Codes (B, S) int64 and weights (B, S) float32; S lists per query, in which a code may repeat."""
        ...

    def score_codes(self, codes: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """(n,) int64 -> (n, I) float32, E before the threshold; with (m,) int64 `items` of these alone, (n, m)."""
        ...

    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        """(n,) int64 -> (n, D) float32, the quantized token of each code."""
        ...
