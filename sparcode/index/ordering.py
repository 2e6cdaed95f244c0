"""Whole-number keys that sort as (score, item id) does, so that one plain integer sort orders postings."""

from __future__ import annotations

import numpy as np

_SIGN = np.uint32(0x8000_0000)


def ascending_bits(scores: np.ndarray) -> np.ndarray:
    """Map float32 to uint32 so that the order is kept: IEEE bits, with negative numbers flipped.

    Parameters
    ----------
    scores
        float32, no NaN. Negative zero counts as zero.

    Returns
    -------
    np.ndarray
        uint32, same shape.
    """
    bits = (np.asarray(scores, dtype=np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def scores_of_bits(bits: np.ndarray) -> np.ndarray:
    """Inverse of `ascending_bits`.

    Parameters
    ----------
    bits
        uint32.

    Returns
    -------
    np.ndarray
        float32, same shape.
    """
    bits = np.asarray(bits, dtype=np.uint32)
    return np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float32)


def posting_keys(scores: np.ndarray, item_ids: np.ndarray) -> np.ndarray:
    """Keys whose ascending order is: highest score first, then lower item id.

    Parameters
    ----------
    scores
        float32, no NaN.
    item_ids
        Integers of the same shape, not negative.

    Returns
    -------
    np.ndarray
        uint64, same shape.
    """
    return (~ascending_bits(scores)).astype(np.uint64) << np.uint64(32) | np.asarray(item_ids).astype(np.uint64)


def postings_of_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of `posting_keys`: ``(item_ids int32, scores float32)``."""
    item_ids = (keys & np.uint64(0xFFFF_FFFF)).astype(np.int32)
    return item_ids, scores_of_bits(~(keys >> np.uint64(32)).astype(np.uint32))
