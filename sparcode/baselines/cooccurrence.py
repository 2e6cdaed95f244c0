"""Item-to-item co-occurrence, asymmetric: a sparse matrix of normalised counts, one row per history item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from scipy.sparse import csr_array, vstack

from sparcode.baselines.history_baseline import HistoryBaseline
from sparcode.data.interactions import offsets

# Terms of the product that are added up at once.
_BLOCK_TERMS = 1 << 22
# Of an item beside its counts: where its row starts (int64), and two discounts (float32).
_BYTES_BESIDE = 16


class Exponents(NamedTuple):
    """How much the numbers of interactions d discount: a of the history's item, b of the scored item, c of the user."""

    a: float
    b: float
    c: float


class Cooccurrence(HistoryBaseline):
    """Score of item j for a history H: ``sum over i in H of C_ij * d_i^-a * d_j^-b``, ``C_ij = sum over users who have both of 1 / d_u^c``.

    d is a number of interactions in training. The diagonal is left out. A matrix larger than `max_bytes` is refused while it is made, which
    takes up to twice that. After `fit`, ``counts_`` is C, (I, I) float32 in CSR form.
    """

    def __init__(self, exponents: Exponents, max_bytes: int = 2 * 2**30) -> None:
        self.exponents = exponents
        self.max_bytes = max_bytes

    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""
        return {"counts": _bytes_of(self.counts_), "discounts": sum(part.nbytes for part in self._discounts)}

    def with_discounts(self, a: float, b: float) -> Self:
        """The same counts, shared, under other exponents of the items; c stays."""
        other = type(self)(Exponents(a, b, self.exponents.c), self.max_bytes)
        other.n_items, other.counts_, other._degrees = self.n_items, self.counts_, self._degrees
        other._discounts = tuple(map(self.discounts, other.exponents[:2]))
        return other

    def over(self, items: np.ndarray) -> Self:
        """The same counts over a larger catalogue whose item j is like the fitted ``items[j]``, (n,) integers.

        `score` then returns (B, n) scores of histories over the fitted items. The counts hold the rows of the fitted items only, those that
        such histories need; `bytes_over` counts all.
        """
        other = self.with_discounts(*self.exponents[:2])
        other.counts_ = csr_array(self.counts_[:, items])
        other._discounts = (self._discounts[0], self._discounts[1][items])
        return other

    def bytes_over(self, items: np.ndarray) -> int:
        """Bytes that serving needs over such a catalogue, with a row of counts for every item; nothing is made."""
        copies = np.bincount(items, minlength=self.n_items).astype(np.float64)
        pattern = csr_array((np.ones(self.counts_.nnz), self.counts_.indices, self.counts_.indptr), shape=self.counts_.shape)
        n_counts = copies @ (pattern @ copies)
        return int(n_counts * (self.counts_.data.itemsize + self.counts_.indices.itemsize) + len(items) * _BYTES_BESIDE)

    def discounts(self, exponent: float) -> np.ndarray:
        """``d^-exponent`` of every item, (I,) float32."""
        return _power(self._degrees, -exponent).astype(np.float32)

    def _learn(self, users: csr_array) -> None:
        if not all(np.isfinite(value) for value in self.exponents):
            raise ValueError(f"exponents must be finite numbers; got {tuple(self.exponents)}")
        lengths = np.diff(users.indptr)
        shares = csr_array((np.repeat(_power(lengths, -self.exponents.c), lengths), users.indices, users.indptr), shape=users.shape)
        of_items, n_items = users.T.tocsr(), users.shape[1]
        parts, n_bytes = [], 0
        for rows in _row_blocks(of_items, lengths):
            part = (of_items[rows] @ shares).tocsr()
            part.sort_indices()
            part = _without_diagonal(part.astype(np.float32), rows.start)
            parts.append(part)
            n_bytes += _bytes_of(part)
            if n_bytes > self.max_bytes:
                raise ValueError(
                    f"co-occurrence of {n_items} items takes more than {n_bytes / 2**30:.1f} GiB; "
                    f"max_bytes allows {self.max_bytes / 2**30:.1f}"
                )
        self.counts_ = csr_array(vstack(parts, format="csr"))
        self._degrees = np.diff(of_items.indptr)
        self._discounts = tuple(map(self.discounts, self.exponents[:2]))

    def _scores(self, queries: csr_array) -> np.ndarray:
        of_history, of_scored = self._discounts
        weights = csr_array((of_history[queries.indices], queries.indices, queries.indptr), shape=queries.shape)
        return (weights @ self.counts_).toarray() * of_scored


def _row_blocks(of_items: csr_array, lengths: np.ndarray) -> Iterator[slice]:
    """Rows of the (I, users) matrix whose product with the users' items has at most about `_BLOCK_TERMS` terms."""
    terms = offsets(lengths[of_items.indices])[of_items.indptr]
    start, n_items = 0, of_items.shape[0]
    while start < n_items:
        end = max(start + 1, int(np.searchsorted(terms, terms[start] + _BLOCK_TERMS, side="right")) - 1)
        yield slice(start, min(end, n_items))
        start = end


def _without_diagonal(part: csr_array, first_row: int) -> csr_array:
    rows = np.repeat(np.arange(part.shape[0]) + first_row, np.diff(part.indptr))
    kept = rows != part.indices
    indptr = offsets(kept)[part.indptr]
    return csr_array((part.data[kept], part.indices[kept].astype(np.int32), indptr), shape=part.shape)


def _power(numbers: np.ndarray, exponent: float) -> np.ndarray:
    """Float64; 0 where the number is 0: what never occurred has no weight."""
    powers = np.zeros(len(numbers))
    powers[numbers > 0] = numbers[numbers > 0].astype(np.float64) ** exponent
    return powers


def _bytes_of(matrix: csr_array) -> int:
    return sum(part.nbytes for part in (matrix.data, matrix.indices, matrix.indptr))
