"""Posting arrays that grow while an index is made, without a second copy of them."""

from __future__ import annotations

import numpy as np

# The GNU allocator gives arrays from 32 MiB on, so many entries, pages of their own.
ALWAYS_MOVED = 1 << 23


class GrowingPostings:
    """Item ids and scores of postings, appended piece by piece.

    Large arrays grow by an eighth: the allocator moves their pages instead of copying them. Small ones would be copied and fragment memory,
    so they are allocated at their expected size at once. Pages never written take addresses, not memory.
    """

    def __init__(self) -> None:
        self._item_ids = np.empty(0, dtype=np.int32)
        self._scores = np.empty(0, dtype=np.float32)
        self._n_postings = 0

    def claim(self, n: int, expected: int) -> tuple[np.ndarray, np.ndarray]:
        """Views of the next `n` places, to be written: (n,) int32 item ids and (n,) float32 scores; valid until the next method call.

        `expected` is a guess of how many there will be in all, these included.
        """
        start, end = self._n_postings, self._n_postings + n
        if end > min(len(self._item_ids), len(self._scores)):
            # A guess that is a little low must not cost another step.
            self._make_room(max(end + end // 8, min(expected + expected // 16, ALWAYS_MOVED)))
        self._n_postings = end
        return self._item_ids[start:end], self._scores[start:end]

    def finished(self) -> tuple[np.ndarray, np.ndarray]:
        """The arrays, cut to what was claimed."""
        self._resize(self._n_postings)
        return self._item_ids, self._scores

    def _make_room(self, capacity: int) -> None:
        if len(self._item_ids):
            self._resize(capacity)
        else:  # unlike a new array, resized memory is written at once
            self._item_ids, self._scores = np.empty(capacity, dtype=np.int32), np.empty(capacity, dtype=np.float32)

    def _resize(self, capacity: int) -> None:
        # No refcheck: it counts views that are no longer used; `claim` says how long a view is valid.
        for array in (self._item_ids, self._scores):
            array.resize(capacity, refcheck=False)
