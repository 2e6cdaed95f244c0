"""Compiled checks of codes and weights, and look-up of codes in an ascending list.

In a file of its own because the on-disk cache of compiled functions only notices changes to a function's own file.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=False)
def find_rows(stored: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> int:
    """Write where each code stands in the stored ones, -1 where it does not.

    Parameters
    ----------
    stored
        (n,) int64, ascending without repeats.
    codes
        (m,) int64.
    rows
        (m,) int64, written.

    Returns
    -------
    int
        Codes that are not stored.
    """
    missing = 0
    for place in range(len(codes)):
        code = codes[place]
        low, high = 0, len(stored)
        while low < high:
            middle = (low + high) // 2
            if stored[middle] < code:
                low = middle + 1
            else:
                high = middle
        if low < len(stored) and stored[low] == code:
            rows[place] = low
        else:
            rows[place] = -1
            missing += 1
    return missing


@njit(cache=True, nogil=True, fastmath=False)
def first_bad(codes: np.ndarray, weights: np.ndarray) -> int:
    """Place of the first code that is negative or weight that is negative or not finite; -1 if all are good.

    Parameters
    ----------
    codes, weights
        (m,) int64 and float32.
    """
    for place in range(len(codes)):
        # Written so that a NaN, which compares as false, is bad.
        if codes[place] < 0 or not (weights[place] >= 0 and weights[place] < np.inf):
            return place
    return -1
