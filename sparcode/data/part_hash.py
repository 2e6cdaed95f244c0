"""Hashes of the parts of a ready-made split: the same content has the same hash, whatever the other parts hold."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd


def hash_arrays(*arrays: np.ndarray) -> str:
    """Hash of arrays with their shapes and types, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def hash_pairs(pairs: pd.DataFrame) -> str:
    """Hash of (user, item) pairs by their original ids, 16 hexadecimal digits; the order of users does not matter, that within one does.

    Parameters
    ----------
    pairs
        ``user_id`` and ``item_id``, each integers or texts.
    """
    ordered = pairs.sort_values("user_id", kind="stable")
    digest = hashlib.sha256()
    for column in ("user_id", "item_id"):
        values = ordered[column]
        if values.dtype.kind in "iu":
            digest.update(values.to_numpy(np.int64).tobytes())
        else:
            digest.update(json.dumps(values.astype(str).tolist()).encode())
    return digest.hexdigest()[:16]
