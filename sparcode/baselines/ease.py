"""Baselines without a network: EASE and popularity, both scorers of every item."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor
from scipy.linalg.lapack import get_lapack_funcs
from scipy.sparse import csr_array

from sparcode.data.interactions import Histories


class EASE:
    """Item-to-item weights in closed form (Steck, Embarrassingly Shallow Autoencoders, arXiv 1905.03375).

    ``B = I - P / diag(P)`` with ``P = (X^T X + l2 * I)^-1`` and a diagonal of 0; a query's scores are the sum of its items' rows of B.

    Parameters
    ----------
    l2
        Weight of the penalty, above 0; larger trusts co-occurrence less.
    precision
        Of the inverse. float32 takes a third of the time of float64 and is enough unless `l2` is tiny beside the counts.
    max_bytes
        Refuse a catalogue whose (I, I) matrix would be larger, instead of running out of memory.

    Attributes
    ----------
    weights_
        (I, I) float32, after `fit`.
    """

    def __init__(self, l2: float = 500.0, precision: Literal["float32", "float64"] = "float32", max_bytes: int = 4 * 2**30) -> None:
        self.l2 = l2
        self.precision = precision
        self.max_bytes = max_bytes

    def fit(self, histories: Histories) -> EASE:
        """Learn from training histories; repeats in a history count once.

        Parameters
        ----------
        histories
            Training users.

        Returns
        -------
        EASE
            Itself.

        Raises
        ------
        ValueError
            If `l2` is not above 0, or too small for the precision, or the catalogue is empty or too large.
        """
        if not 0 < self.l2 < np.inf:
            raise ValueError(f"l2 must be a number above 0; got {self.l2}")
        if self.precision not in ("float32", "float64"):
            raise ValueError(f"precision must be 'float32' or 'float64'; got {self.precision!r}")
        n_items = histories.n_items
        if n_items == 0:
            raise ValueError("histories must be over a catalogue of at least one item")
        n_bytes = np.dtype(self.precision).itemsize * n_items**2
        if n_bytes > self.max_bytes:
            raise ValueError(
                f"EASE on {n_items} items takes a matrix of {n_bytes / 2**30:.1f} GiB; max_bytes allows {self.max_bytes / 2**30:.1f}"
            )
        interactions = _matrix(histories)
        gram = (interactions.T @ interactions).toarray().astype(self.precision, copy=False)
        gram[np.diag_indices(n_items)] += self.l2
        inverse = _positive_definite_inverse(gram, self.l2)
        weights = (inverse / -np.diag(inverse)).astype(np.float32, copy=False)
        np.fill_diagonal(weights, 0)
        self.weights_ = weights
        return self

    @property
    def n_items(self) -> int:
        """Catalogue size I."""
        return len(self.weights_)

    def score(self, queries: Histories) -> np.ndarray:
        """Scores of every item, (B, I) float32; all 0 for an empty history.

        Parameters
        ----------
        queries
            B histories over the catalogue of `fit`.

        Raises
        ------
        ValueError
            If the catalogue is another one.
        """
        _check_catalogue(queries, self.n_items)
        return np.asarray(_matrix(queries).astype(np.float32) @ self.weights_)

    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""
        return {"weights": self.weights_.nbytes}


class Popularity:
    """Every query gets the items with the most training users.

    Attributes
    ----------
    counts_
        (I,) float32, users per item, after `fit`.
    """

    def fit(self, histories: Histories) -> Popularity:
        """Count training users per item; repeats in a history count once.

        Parameters
        ----------
        histories
            Training users.

        Returns
        -------
        Popularity
            Itself.
        """
        self.counts_ = np.asarray(_matrix(histories).sum(axis=0), dtype=np.float32)
        return self

    @property
    def n_items(self) -> int:
        """Catalogue size I."""
        return len(self.counts_)

    def score(self, queries: Histories) -> np.ndarray:
        """Scores of every item, (B, I) float32, the same in every row.

        Parameters
        ----------
        queries
            B histories over the catalogue of `fit`.

        Raises
        ------
        ValueError
            If the catalogue is another one.
        """
        _check_catalogue(queries, self.n_items)
        return np.tile(self.counts_, (len(queries), 1))

    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""
        return {"counts": self.counts_.nbytes}


def _positive_definite_inverse(gram: np.ndarray, l2: float) -> np.ndarray:
    """The inverse by its Cholesky factor, in one triangle only: less work than a general inverse. Overwrites `gram`."""
    try:
        # The transpose of a symmetric matrix is itself, in the column order that LAPACK works in without a copy.
        factor, _ = cho_factor(gram.T, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError as error:
        raise ValueError(f"l2={l2} is too small to invert co-occurrence counts in {gram.dtype}; take a larger one, or float64") from error
    (potri,) = get_lapack_funcs(("potri",), (factor,))
    inverse, _ = potri(factor, lower=True, overwrite_c=True)
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    return inverse


def _matrix(histories: Histories) -> csr_array:
    ones = np.ones(len(histories.items), dtype=np.float64)
    # A copy, since adding up repeats sorts the indices in place.
    matrix = csr_array((ones, histories.items, histories.indptr), shape=(len(histories), histories.n_items), copy=True)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _check_catalogue(queries: Histories, n_items: int) -> None:
    if queries.n_items != n_items:
        raise ValueError(f"queries are over a catalogue of {queries.n_items} items; fitted on {n_items}")
