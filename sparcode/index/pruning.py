"""Pruning: which floor an index should be built with, and which threshold an existing one should be served at to meet a target.

A rule holds its target; ``rule.threshold(index)`` finds the lowest threshold that meets it. How much is kept only falls as the threshold
rises, so a bisection over all float32 values between floor and top finds it exactly, with a binary search per list in each of at most
32 steps and without touching the postings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparcode.index.inverted_index import InvertedIndex, size_of_parts
from sparcode.index.ordering import ascending_bits, scores_of_bits
from sparcode.index.score_table import distinct_code_list, iter_score_blocks

if TYPE_CHECKING:
    from sparcode.retrieval import CodedModel

# Beyond this many scores (128 MiB) a floor is estimated from a sample of codes.
MAX_SAMPLED_SCORES = 1 << 25


@dataclass(frozen=True)
class KeepDensity:
    """Keep at most a share of all (stored code, item) pairs.

    Attributes
    ----------
    density
        Share in [0, 1]. A share above what the index stores gives the lowest threshold it can serve.
    """

    density: float

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError(f"density must lie in [0, 1]; got {self.density}")

    def threshold(self, index: InvertedIndex) -> float:
        """The lowest threshold that keeps at most ``round(density * n_lists * n_items)`` postings."""
        return threshold_for_postings(index, round(self.density * index.n_lists * index.n_items))


@dataclass(frozen=True)
class FitBytes:
    """Keep as much as fits a number of bytes.

    Attributes
    ----------
    max_bytes
        Budget for all arrays that serving needs.
    """

    max_bytes: int

    def threshold(self, index: InvertedIndex) -> float:
        """The lowest threshold whose `InvertedIndex.size_bytes` fit.

        Raises
        ------
        ValueError
            If not even an index without postings fits.
        """
        fixed = sum(size_of_parts(index.n_lists, 0).values())
        per_posting = sum(size_of_parts(index.n_lists, 1).values()) - fixed
        if self.max_bytes < fixed:
            raise ValueError(f"max_bytes must be at least {fixed}, what {index.n_lists} empty lists take; got {self.max_bytes}")
        return threshold_for_postings(index, (self.max_bytes - fixed) // per_posting)


def threshold_for_postings(index: InvertedIndex, n_kept: int) -> float:
    """The lowest threshold with at most `n_kept` postings above it.

    Parameters
    ----------
    index
        Its floor bounds the threshold from below; where the floor is -inf, the bound is just under the lowest stored score.
    n_kept
        Postings, not negative. Postings that tie at the cut go together, so fewer may be kept.

    Returns
    -------
    float
        Finite, exact in float32.
    """
    if len(index.scores) == 0:
        return index.floor if np.isfinite(index.floor) else 0.0
    low = index.floor if np.isfinite(index.floor) else float(np.nextafter(index.scores.min(), np.float32(-np.inf)))
    heads = index.scores[index.indptr[:-1][np.diff(index.indptr) > 0]]
    too_low, fits = int(ascending_bits(np.float32(low))), int(ascending_bits(heads.max()))
    if index.kept_postings(low) <= n_kept:
        return low
    while fits - too_low > 1:
        middle = (too_low + fits) // 2
        if index.kept_postings(float(scores_of_bits(np.uint32(middle)))) <= n_kept:
            fits = middle
        else:
            too_low = middle
    return float(scores_of_bits(np.uint32(fits)))


def floor_for_density(model: CodedModel, codes: np.ndarray, density: float, block_codes: int, seed: int = 0) -> float:
    """The threshold above which a given share of all (code, item) scores lies.

    Exact while the table of scores fits in `MAX_SAMPLED_SCORES` numbers; beyond that, exact for a seeded random sample of as
    many codes as fit, which estimates the whole. Ties at the cut are left out: never more than the share is above.

    Parameters
    ----------
    model
        Scores codes.
    codes
        Integers of any shape; repeats count once.
    density
        Share in (0, 1].
    block_codes
        Codes scored at a time.
    seed
        Seed of the sample.

    Returns
    -------
    float
        Finite, exact in float32.

    Raises
    ------
    ValueError
        If `density` is outside, or there is no finite score.
    """
    if not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1]; got {density}")
    codes = distinct_code_list(codes)
    n_sampled = max(1, MAX_SAMPLED_SCORES // max(model.n_items, 1))
    if len(codes) > n_sampled:
        codes = np.sort(np.random.default_rng(seed).choice(codes, n_sampled, replace=False))
    scores = np.empty((len(codes), model.n_items), dtype=np.float32)
    done = 0
    for block, block_scores in iter_score_blocks(model, codes, block_codes):
        scores[done : done + len(block)] = block_scores
        done += len(block)
    return cut_above(scores.ravel(), round(density * scores.size))


def cut_above(scores: np.ndarray, n_kept: int) -> float:
    """The lowest float32 threshold with at most `n_kept` of the scores above it; `scores` is reordered.

    Raises
    ------
    ValueError
        If there is no finite score.
    """
    if scores.size == 0 or not np.max(scores) > -np.inf:
        raise ValueError("there is no finite score to set a threshold by")
    if n_kept < scores.size:
        scores.partition(scores.size - n_kept - 1)
        cut = scores[scores.size - n_kept - 1]
        if cut > -np.inf:
            return float(cut)
    finite = scores[scores > -np.inf]
    return float(np.nextafter(finite.min(), np.float32(-np.inf)))
