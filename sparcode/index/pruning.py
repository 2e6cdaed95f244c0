"""Pruning: the floor to build an index with, and where to cut an index to meet a target.

``rule.cut(index)`` is a threshold, a number of postings per list, or both. Fewer postings remain as the threshold rises, so a bisection
over the float32 values finds the lowest threshold exactly, in at most 32 steps of one binary search per list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparcode.config import PostingsKind
from sparcode.index.block_index import BlockIndex, ScoreType, block_bytes, block_index
from sparcode.index.coded_model import CodedModel
from sparcode.index.inverted_index import InvertedIndex, size_of_parts
from sparcode.index.score_table import distinct_code_list, iter_score_blocks

_SIGN = np.uint32(0x8000_0000)
SCORE_TYPES: dict[str, ScoreType] = {"blocked": "float32", "quantized": "uint16"}
# Beyond this many scores (128 MiB) a floor is estimated from a sample of codes.
MAX_SAMPLED_SCORES = 1 << 25


class Cut(NamedTuple):
    """Which postings of an index count: those above the threshold tau, of each list at most the `per_list` highest (0: all)."""

    threshold: float
    per_list: int = 0


@dataclass(frozen=True)
class GlobalThreshold:
    """One threshold for all lists, the paper's rule (arXiv 2311.18213)."""

    tau: float

    def cut(self, index: InvertedIndex) -> Cut:
        """ValueError if the threshold is below the index's floor or NaN."""
        index.threshold_ends(self.tau)
        return Cut(self.tau)


@dataclass(frozen=True)
class TopPerList:
    """The `n_postings` highest postings of every list above a threshold; None: the lowest threshold of the index."""

    n_postings: int
    tau: float | None = None

    def __post_init__(self) -> None:
        if self.n_postings < 1:
            raise ValueError(f"n_postings must be at least 1; got {self.n_postings}")

    def cut(self, index: InvertedIndex) -> Cut:
        """ValueError if the threshold is below the index's floor or NaN."""
        tau = threshold_for_postings(index, len(index.item_ids)) if self.tau is None else self.tau
        # No list is longer than the catalogue; larger numbers would not fit the loops' integers.
        return Cut(GlobalThreshold(tau).cut(index).threshold, min(self.n_postings, index.n_items))


@dataclass(frozen=True)
class KeepDensity:
    """Keep at most a share in [0, 1] of all (stored code, item) pairs; a share above what the index stores keeps all of it.

    Only codes below `below` count, None: all. Item lists, whose codes are `SparCodeModel.first_list_code` and above, are nearly empty by
    design: counted in, they would make every share one of few heads' scores.
    """

    density: float
    below: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError(f"density must lie in [0, 1]; got {self.density}")

    def threshold(self, index: InvertedIndex) -> float:
        """The lowest threshold that keeps at most ``round(density * n_lists * n_items)`` postings of the lists that count."""
        counted = index.below(self.below)
        return threshold_for_postings(counted, round(self.density * counted.n_lists * counted.n_items))

    def cut(self, index: InvertedIndex) -> Cut:
        """At that threshold."""
        return Cut(self.threshold(index))


@dataclass(frozen=True)
class FitBytes:
    """Keep as many postings as fit `max_bytes`, all arrays that serving needs in the layout `postings` included."""

    max_bytes: int
    postings: PostingsKind = "float32"

    def threshold(self, index: InvertedIndex) -> float:
        """The lowest threshold at which the index fits; ValueError if not even one without postings does."""
        if self._bytes_of(index, 0) > self.max_bytes:
            least = self._bytes_of(index, 0)
            raise ValueError(f"max_bytes must be at least {least}, what {index.n_lists} empty lists take; got {self.max_bytes}")
        # Bytes never fall as postings are added: shorter lists have larger and so fewer blocks.
        too_many = bisect_right(range(len(index.item_ids) + 1), self.max_bytes, key=lambda n: self._bytes_of(index, n))
        return threshold_for_postings(index, too_many - 1)

    def cut(self, index: InvertedIndex) -> Cut:
        """At that threshold."""
        return Cut(self.threshold(index))

    def _bytes_of(self, index: InvertedIndex, n_postings: int) -> int:
        return sum(bytes_as(self.postings, index, n_postings).values())


def bytes_as(postings: PostingsKind, index: InvertedIndex, n_postings: int) -> dict[str, int]:
    """Bytes by part of an index with so many postings, served in one of the layouts."""
    if postings == "float32":
        return size_of_parts(index.n_lists, n_postings)
    return block_bytes(index.n_items, index.n_lists, n_postings, SCORE_TYPES[postings])


def as_served(index: InvertedIndex, cut: Cut, postings: PostingsKind) -> InvertedIndex | BlockIndex:
    """The index in a layout: as it is, or cut and arranged by blocks."""
    return index if postings == "float32" else block_index(index, cut.threshold, SCORE_TYPES[postings], cut.per_list)


def threshold_for_postings(index: InvertedIndex, n_kept: int) -> float:
    """The lowest threshold with at most `n_kept` postings above it; finite, exact in float32.

    At least the index's floor; where that is -inf, just under the lowest stored score. Ties go together, so fewer may be kept.
    """
    if len(index.scores) == 0:
        return index.floor if np.isfinite(index.floor) else 0.0
    low = index.floor if np.isfinite(index.floor) else float(np.nextafter(index.scores.min(), np.float32(-np.inf)))
    heads = index.scores[index.indptr[:-1][np.diff(index.indptr) > 0]]
    if index.kept_postings(low) <= n_kept:
        return low
    thresholds = range(int(ascending_bits(np.float32(low))) + 1, int(ascending_bits(heads.max())))
    place = bisect_left(thresholds, -n_kept, key=lambda bits: -index.kept_postings(float(scores_of_bits(np.uint32(bits)))))
    return float(scores_of_bits(np.uint32(thresholds.start + place)))


def floor_for_density(model: CodedModel, codes: np.ndarray, density: float, block_codes: int, seed: int = 0) -> float:
    """The lowest threshold with at most a share `density`, in (0, 1], of all (code, item) scores above it; finite, exact in float32.

    A table of more than `MAX_SAMPLED_SCORES` scores is estimated by a seeded random sample of as many codes as fit. `codes` are integers of
    any shape; repeats count once. ValueError if `density` is outside, or there is no finite score.
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
    """The lowest float32 threshold with at most `n_kept` of the scores above it; reorders `scores`. ValueError if none is finite."""
    if scores.size == 0 or not np.max(scores) > -np.inf:
        raise ValueError("there is no finite score to set a threshold by")
    if n_kept < scores.size:
        scores.partition(scores.size - n_kept - 1)
        cut = scores[scores.size - n_kept - 1]
        if cut > -np.inf:
            return float(cut)
    finite = scores[scores > -np.inf]
    return float(np.nextafter(finite.min(), np.float32(-np.inf)))


def ascending_bits(scores: np.ndarray) -> np.ndarray:
    """float32 (no NaN) -> uint32 in the same order: IEEE bits, with negative numbers flipped. Negative zero counts as zero."""
    bits = (np.asarray(scores, dtype=np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def scores_of_bits(bits: np.ndarray) -> np.ndarray:
    """Inverse of `ascending_bits`."""
    bits = np.asarray(bits, dtype=np.uint32)
    return np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float32)
