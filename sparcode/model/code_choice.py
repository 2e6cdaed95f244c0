"""Compiled choice of a token's nearest composite codes and their weights.

It is a file of its own because numba's on-disk cache only notices changes to a function's own file.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=False)
def _nearest_codewords(distances: np.ndarray, nearest: np.ndarray, indices: np.ndarray) -> None:
    """The codewords at the smallest of (K,) distances, ascending; the lower index first where two are equal."""
    filled, last = 0, len(nearest) - 1
    limit = np.float32(np.inf)
    for index in range(len(distances)):
        distance = distances[index]
        if filled > last and not distance < limit:
            continue
        place = min(filled, last)
        while place > 0 and nearest[place - 1] > distance:
            nearest[place], indices[place] = nearest[place - 1], indices[place - 1]
            place -= 1
        nearest[place], indices[place] = distance, index
        filled = min(filled + 1, last + 1)
        limit = nearest[last]


@njit(cache=True, nogil=True, fastmath=False)
def _merge(sums: np.ndarray, codes: np.ndarray, width: int, book: tuple, into: tuple) -> int:
    """Write the smallest sums, ascending, of one of `width` partial sums and one codeword of the next codebook; return how many."""
    nearest, indices, step = book
    merged_sums, merged_codes = into
    filled, last = 0, len(merged_sums) - 1
    for row in range(width):
        for column in range(len(nearest)):
            total = sums[row] + nearest[column]
            if filled > last and not total < merged_sums[last]:
                break  # no later codeword is nearer
            place = min(filled, last)
            while place > 0 and merged_sums[place - 1] > total:
                merged_sums[place], merged_codes[place] = merged_sums[place - 1], merged_codes[place - 1]
                place -= 1
            merged_sums[place], merged_codes[place] = total, codes[row] + indices[column] * step
            filled = min(filled + 1, last + 1)
    return filled


# Sums may be taken in any order, which lets them use the processor's wide registers; the order is fixed when this is compiled.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _weigh(token: np.ndarray, codebooks: np.ndarray, codes: np.ndarray, factor: np.float32, weights: np.ndarray) -> None:
    """Softmax over the codes of their squared distances times the negative `factor`."""
    n_books, size, dim = codebooks.shape
    highest = np.float32(-np.inf)
    for place in range(len(codes)):
        code, distance = codes[place], np.float32(0)
        for book in range(n_books):
            part, codeword = token[book * dim : (book + 1) * dim], codebooks[book, code % size]
            code //= size
            for axis in range(dim):
                difference = part[axis] - codeword[axis]
                distance += difference * difference
        weights[place] = distance * factor
        highest = max(highest, weights[place])
    total = np.float32(0)
    for place in range(len(codes)):
        weights[place] = np.exp(weights[place] - highest)
        total += weights[place]
    for place in range(len(codes)):
        weights[place] /= total


@njit(cache=True, nogil=True, fastmath=False)
def choose_codes(
    tokens: np.ndarray,
    distances: np.ndarray,
    codebooks: np.ndarray,
    factor: np.float32,
    codes: np.ndarray,
    weights: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """Write the P nearest composite codes of tokens `start` to `stop`, nearest first, and their weights.

    Exact without listing K**M codes: the P best sums of per-codebook distances only use the P best partial sums, so codebooks are merged
    one by one.

    Parameters
    ----------
    tokens, codebooks
        (N, D) and (M, K, D / M) float32.
    distances
        (M, N, K) float32 squared distances, up to a constant per token and codebook.
    factor
        Minus one over the temperature.
    codes, weights
        (N, P) int64 and float32, written; P at most K**M.
    """
    n_books, _, size = distances.shape
    n_nearest = codes.shape[1]
    nearest, indices = np.empty(min(n_nearest, size), np.float32), np.empty(min(n_nearest, size), np.int64)
    sums, partial = np.empty(n_nearest, np.float32), np.empty(n_nearest, np.int64)
    merged_sums, merged_codes = np.empty(n_nearest, np.float32), np.empty(n_nearest, np.int64)
    for token in range(start, stop):
        if n_books == 1:
            _nearest_codewords(distances[0, token], sums, codes[token])
        else:
            width, step = len(nearest), 1
            _nearest_codewords(distances[0, token], sums[:width], partial[:width])
            for book in range(1, n_books):
                step *= size
                _nearest_codewords(distances[book, token], nearest, indices)
                width = _merge(sums, partial, width, (nearest, indices, step), (merged_sums, merged_codes))
                sums[:width], partial[:width] = merged_sums[:width], merged_codes[:width]
            codes[token] = partial
        if n_nearest == 1:
            weights[token, 0] = 1
        else:
            _weigh(tokens[token], codebooks, codes[token], factor, weights[token])


def warm_up() -> None:
    """Compile the functions or load them from the cache."""
    shape = (1, 1)
    choose_codes(
        np.zeros(shape, np.float32),
        np.zeros((1, 1, 1), np.float32),
        np.zeros((1, 1, 1), np.float32),
        np.float32(-1),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.float32),
        0,
        1,
    )
