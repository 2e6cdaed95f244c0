"""The sparse inverted index: for every code its items with a score above the floor, best first (SparCode, arXiv 2311.18213).

A higher threshold is a prefix of every list, so moving it costs a binary search per list and no rebuild.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import offsets
from sparcode.index import build_kernels, kernels
from sparcode.index.build_kernels import Lists

ARRAY_DTYPES = {"codes": np.int64, "indptr": np.int64, "item_ids": np.int32, "scores": np.float32}


class BuildStopped(Exception):
    """The caller stopped a build."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class InvertedIndex:
    """Posting lists of every stored code, as flat arrays.

    Attributes
    ----------
    codes
        (n_lists,) int64, ascending: the code of each list.
    indptr
        (n_lists + 1,) int64; list r is ``[indptr[r], indptr[r + 1])`` of the two arrays below.
    item_ids, scores
        (n_postings,) int32 and float32, raw E before the threshold; within a list scores descend, ties by ascending item id.
    floor
        Every stored score is above it; -inf stores every finite score. Rounded to float32.
    """

    codes: np.ndarray
    indptr: np.ndarray
    item_ids: np.ndarray
    scores: np.ndarray
    n_items: int
    floor: float

    def __post_init__(self) -> None:
        for name, dtype in ARRAY_DTYPES.items():
            array = getattr(self, name)
            if array.ndim != 1 or array.dtype != dtype:
                raise ValueError(
                    f"{name} must be a one-dimensional array of {dtype.__name__}; got shape {array.shape}, dtype {array.dtype}"
                )
            object.__setattr__(self, name, contiguous(array, dtype))
        if len(self.indptr) != len(self.codes) + 1:
            raise ValueError(f"indptr must have {len(self.codes) + 1} entries, one more than codes; got {len(self.indptr)}")
        if not self.indptr[0] == 0 or not self.indptr[-1] == len(self.item_ids) == len(self.scores):
            raise ValueError(
                f"indptr must run from 0 to the number of postings; got {self.indptr[0]} to {self.indptr[-1]} "
                f"for {len(self.item_ids)} item_ids and {len(self.scores)} scores"
            )
        if np.any(np.diff(self.indptr) < 0):
            raise ValueError("indptr must not decrease")
        if len(self.codes) and (self.codes[0] < 0 or np.any(np.diff(self.codes) <= 0)):
            raise ValueError("codes must not be negative, and ascend without repeats")
        if not 0 <= self.n_items <= np.iinfo(np.int32).max:
            raise ValueError(f"n_items must lie in [0, {np.iinfo(np.int32).max}]; got {self.n_items}")
        object.__setattr__(self, "floor", float(threshold32(self.floor, "floor")))

    def check_postings(self) -> None:
        """Check every posting: ids in range and distinct within a list, scores finite, above the floor and in order; ValueError if not."""
        at = build_kernels.first_wrong(Lists(self.indptr, self.item_ids, self.scores), self.n_items, np.float32(self.floor))
        if at < 0:
            return
        item, score = int(self.item_ids[at]), float(self.scores[at])
        if not 0 <= item < self.n_items:
            raise ValueError(f"item_ids must lie in [0, {self.n_items}); posting {at} has {item}")
        if not self.floor < score < np.inf:
            raise ValueError(f"scores must be numbers above the floor {self.floor}; posting {at} has {score}")
        start = self.indptr[np.searchsorted(self.indptr, at, side="right") - 1]
        if item in self.item_ids[start:at] and score < self.scores[at - 1]:
            raise ValueError(f"an item must stand in a list once; posting {at} has {item} again")
        raise ValueError(f"scores must descend within a list, ties by ascending item id; postings {at - 1} and {at} do not")

    @property
    def n_lists(self) -> int:
        """Codes with a list (which may be empty)."""
        return len(self.codes)

    def rows_of(self, codes: np.ndarray) -> np.ndarray:
        """List numbers of codes, int64 of the same shape; -1 for a code without a list."""
        return lists_of_codes(self.codes, codes)[0]

    def below(self, code: int | None) -> InvertedIndex:
        """The lists of codes below this one, without a copy of their arrays; None: of all codes."""
        if code is None:
            return self
        n_lists = int(np.searchsorted(self.codes, code))
        end = self.indptr[n_lists]
        return InvertedIndex(
            self.codes[:n_lists], self.indptr[: n_lists + 1], self.item_ids[:end], self.scores[:end], self.n_items, self.floor
        )

    def threshold_ends(self, threshold: float, per_list: int = 0) -> np.ndarray:
        """(n_lists,) int64, the end of each list's prefix with ``score > threshold`` (in float32), at most `per_list` long (0: any).

        ValueError if `threshold` is below the floor or NaN, or `per_list` is negative.
        """
        tau = threshold32(threshold, "threshold")
        if tau < np.float32(self.floor):
            raise ValueError(f"threshold must be at least the index's floor {self.floor}; got {threshold}")
        ends = np.empty(self.n_lists, dtype=np.int64)
        if per_list < 0:
            raise ValueError(f"per_list must not be negative; got {per_list}")
        kernels.list_ends(self.indptr, self.scores, tau, ends)
        return np.minimum(ends, self.indptr[:-1] + per_list) if per_list else ends

    def list_lengths(self, threshold: float, per_list: int = 0) -> np.ndarray:
        """(n_lists,) int64, postings of each list above the threshold, at most `per_list` of them (0: all)."""
        return self.threshold_ends(threshold, per_list) - self.indptr[:-1]

    def kept_postings(self, threshold: float, per_list: int = 0) -> int:
        """Postings above the threshold, over all lists, at most `per_list` of each (0: all)."""
        return int(self.list_lengths(threshold, per_list).sum())

    def density(self, threshold: float) -> float:
        """Share of (stored code, item) pairs above the threshold; 0 for an index without lists."""
        pairs = self.n_lists * self.n_items
        return self.kept_postings(threshold) / pairs if pairs else 0.0

    def size_bytes(self, threshold: float, per_list: int = 0) -> dict[str, int]:
        """Bytes of the arrays that serving at this threshold needs, by part."""
        return size_of_parts(self.n_lists, self.kept_postings(threshold, per_list))


def lists_of_codes(stored: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, int]:
    """List numbers of codes (int64 of the codes' shape, -1 without a list) and how many have none; `stored` holds ascending codes."""
    codes = contiguous(codes, np.int64)
    rows = np.empty(codes.shape, dtype=np.int64)
    return rows, kernels.find_rows(stored, codes.reshape(-1), rows.reshape(-1))


def size_of_parts(n_lists: int, n_postings: int) -> dict[str, int]:
    """Bytes of an index's arrays, by part."""
    lengths = {"codes": n_lists, "indptr": n_lists + 1, "item_ids": n_postings, "scores": n_postings}
    return {name: length * np.dtype(ARRAY_DTYPES[name]).itemsize for name, length in lengths.items()}


def merged(one: InvertedIndex, other: InvertedIndex) -> InvertedIndex:
    """One index with the lists of two that share no code; floor and catalogue are those of the first."""
    codes = np.concatenate([one.codes, other.codes])
    order = np.argsort(codes, kind="stable")
    lengths = np.concatenate([np.diff(one.indptr), np.diff(other.indptr)])[order]
    indptr = offsets(lengths)
    item_ids, scores = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
    targets = np.empty(len(codes), dtype=np.int64)
    targets[order] = indptr[:-1]
    for part, starts in ((one, targets[: one.n_lists]), (other, targets[one.n_lists :])):
        build_kernels.copy_lists(Lists(part.indptr, part.item_ids, part.scores), starts, item_ids, scores)
    return InvertedIndex(codes[order], indptr, item_ids, scores, one.n_items, one.floor)


def threshold32(value: float, name: str) -> np.float32:
    """A floor or threshold in float32, in which scores are compared; ValueError if it is NaN or +inf."""
    if not value < np.inf:
        raise ValueError(f"{name} must be a number below +inf; got {value}")
    with np.errstate(over="ignore"):
        return np.float32(value)
