"""EASE: item-to-item weights in closed form (Steck, Embarrassingly Shallow Autoencoders, arXiv 1905.03375)."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Literal

import numpy as np
from numba.extending import get_cython_function_address
from scipy.sparse import csr_array

from sparcode.baselines.history_baseline import HistoryBaseline

# Rows of the matrix that are made or copied at a time.
_ROWS = 512


class EASE(HistoryBaseline):
    """``B = I - P / diag(P)`` with ``P = (X^T X + l2 * I)^-1`` and a diagonal of 0; a query's scores are the sum of its items' rows of B.

    Parameters
    ----------
    l2
        Weight of the penalty, above 0; larger trusts co-occurrence less.
    precision
        Of the inverse. float32 takes a third of the time of float64 and is enough unless `l2` is tiny beside the counts.
    max_bytes
        A catalogue whose (I, I) matrix would be larger is refused.

    Attributes
    ----------
    weights_
        B, (I, I) float32, after `fit`.
    """

    def __init__(self, l2: float = 500.0, precision: Literal["float32", "float64"] = "float32", max_bytes: int = 4 * 2**30) -> None:
        self.l2 = l2
        self.precision = precision
        self.max_bytes = max_bytes

    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""
        return {"weights": self.weights_.nbytes}

    def _learn(self, users: csr_array) -> None:
        if not 0 < self.l2 < np.inf:
            raise ValueError(f"l2 must be a number above 0; got {self.l2}")
        if self.precision not in ("float32", "float64"):
            raise ValueError(f"precision must be 'float32' or 'float64'; got {self.precision!r}")
        n_items = users.shape[1]
        n_bytes = np.dtype(self.precision).itemsize * n_items**2
        if n_bytes > self.max_bytes:
            raise ValueError(
                f"EASE on {n_items} items takes a matrix of {n_bytes / 2**30:.1f} GiB; max_bytes allows {self.max_bytes / 2**30:.1f}"
            )
        # By rows: a sparse matrix of counts takes three times the bytes of a dense one where most pairs occur.
        users = users.astype(self.precision)
        items, weights = csr_array(users.T), np.empty((n_items, n_items), self.precision)
        for start in range(0, n_items, _ROWS):
            weights[start : start + _ROWS] = (items[start : start + _ROWS] @ users).toarray()
        weights[np.diag_indices(n_items)] += self.l2
        _invert(weights, self.l2)
        # In place: row by row, since queries add up rows of it, and PyTorch copies any other order anew for every batch that EASE teaches.
        weights /= -np.diag(weights)
        np.fill_diagonal(weights, 0)
        self.weights_ = weights.astype(np.float32, copy=False)

    def _scores(self, queries: csr_array) -> np.ndarray:
        return np.asarray(queries @ self.weights_)


def _invert(matrix: np.ndarray, l2: float) -> None:
    """Invert a positive definite matrix, C order, in place, by its Cholesky factor: no second matrix is made. ValueError if it has none."""
    # LAPACK works in column order, where the matrix is its own transpose: what it calls the lower triangle is the upper one here.
    if _lapack("potrf", matrix) != 0:
        raise ValueError(f"l2={l2} is too small to invert co-occurrence counts in {matrix.dtype}; take a larger one, or float64")
    _lapack("potri", matrix)
    for start in range(0, len(matrix), _ROWS):
        rows = slice(start, start + _ROWS)
        matrix[rows, :start] = matrix[:start, rows].T
        upper = np.triu(matrix[rows, rows])
        matrix[rows, rows] = upper + np.triu(upper, 1).T


def _lapack(name: Literal["potrf", "potri"], matrix: np.ndarray) -> int:
    """A routine of SciPy's LAPACK on the lower triangle of a contiguous square float32 or float64 matrix, in place; returns its `info`.

    `scipy.linalg` would hold Python's global lock meanwhile, which stops every other thread; a call through ctypes does not. PyTorch's
    routines give other last digits with other numbers of threads.
    """
    size, info = ctypes.c_int(len(matrix)), ctypes.c_int()
    _routine(f"{matrix.dtype.char.replace('f', 's')}{name}")(
        b"L", ctypes.byref(size), matrix.ctypes.data, ctypes.byref(size), ctypes.byref(info)
    )
    return info.value


@cache
def _routine(name: str) -> Any:
    address = get_cython_function_address("scipy.linalg.cython_lapack", name)
    pointer = ctypes.c_void_p
    return ctypes.CFUNCTYPE(None, ctypes.c_char_p, pointer, pointer, pointer, pointer)(address)
