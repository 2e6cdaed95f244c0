"""Codebook usage, from composite codes ``code = sum over m of index[m] * K**m``.

All take ``codes`` (integers of any shape), M codebooks and K codewords each. ValueError if M or K is below 1 or a code outside [0, K**M).
"""

from __future__ import annotations

import numpy as np


def usage_counts(codes: np.ndarray, n_codebooks: int, codebook_size: int) -> np.ndarray:
    """How often each codeword is used: (M, K) int64; every row adds up to the number of codes."""
    codes = np.asarray(codes)
    if n_codebooks < 1 or codebook_size < 1:
        raise ValueError(f"n_codebooks and codebook_size must be at least 1; got {n_codebooks} and {codebook_size}")
    if codes.size and codes.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers; got dtype {codes.dtype}")
    n_codes = codebook_size**n_codebooks
    if codes.size and (codes.min() < 0 or int(codes.max()) >= n_codes):
        raise ValueError(f"codes must lie in [0, {n_codes}); got {codes.min()} to {codes.max()}")
    counts = np.zeros((n_codebooks, codebook_size), dtype=np.int64)
    rest = codes.ravel().astype(np.int64)
    for m in range(n_codebooks):
        rest, index = np.divmod(rest, codebook_size)
        counts[m] = np.bincount(index, minlength=codebook_size)
    return counts


def perplexity(codes: np.ndarray, n_codebooks: int, codebook_size: int) -> np.ndarray:
    """exp(-sum over k of p_k log p_k), p_k the share of codeword k: (M,) float64 in [1, K], NaN without codes.

    It is the number of evenly used codewords that carry as much information.
    """
    counts = usage_counts(codes, n_codebooks, codebook_size)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return np.exp(-np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1))


def dead_share(codes: np.ndarray, n_codebooks: int, codebook_size: int) -> np.ndarray:
    """Share of codewords that are never used: (M,) float64 in [0, 1], 1 without codes."""
    return np.mean(usage_counts(codes, n_codebooks, codebook_size) == 0, axis=1)
