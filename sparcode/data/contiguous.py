"""Arrays as compiled loops take them."""

from __future__ import annotations

import numpy as np


def contiguous(array: np.ndarray, dtype: type) -> np.ndarray:
    """The array in this dtype, contiguous and writeable; avoids recompilation of the kernels."""
    if type(array) is np.ndarray and array.dtype == dtype and array.flags.carray:
        return array
    return np.require(array, dtype=dtype, requirements=["C", "W", "A", "E"])
