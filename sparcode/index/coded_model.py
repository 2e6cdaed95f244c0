"""What the index needs of a trained SparCode model, and the codes that it gives, checked and each once a query."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import Histories
from sparcode.index import kernels


class CodedModel(Protocol):
    """What the index needs of a trained SparCode model."""

    n_items: int

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Codes (B, S) int64 and weights (B, S) float32; S lists per query, in which a code may repeat."""
        ...

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        """(n,) int64 -> (n, I) float32, E before the threshold."""
        ...

    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        """(n,) int64 -> (n, D) float32, the quantized token of each code."""
        ...


def merged_codes(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and weights (B, S) as int64 and float32, equal codes of a row merged: their weights are added up in float32, to
    its largest number at most.

    Codes stand in the order in which a row first has them at a weight above 0, and what is left of it is filled up at weight 0. ValueError
    if shapes differ, any is negative, or a weight is not finite.
    """
    codes, weights = np.asarray(codes), np.asarray(weights)
    if codes.ndim != 2 or codes.shape != weights.shape:
        raise ValueError(f"codes and weights must be (B, S) arrays of one shape; got {codes.shape} and {weights.shape}")
    if codes.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers; got dtype {codes.dtype}")
    codes, weights = contiguous(codes, np.int64), contiguous(weights, np.float32)
    bad = kernels.first_bad(codes.reshape(-1), weights.reshape(-1))
    if bad >= 0 and codes.flat[bad] < 0:
        raise ValueError(f"codes must not be negative; got {codes.flat[bad]}")
    if bad >= 0:
        raise ValueError(f"weights must be finite and not negative; got {weights.flat[bad]}")
    once, sums = np.empty_like(codes), np.empty_like(weights)
    kernels.merge_codes(codes, weights, once, sums)
    return once, sums
