"""Posting arrays that grow while an index is made, without a second copy of them."""

from __future__ import annotations

import numpy as np


class GrowingPostings:
    """Item ids and scores of postings, appended piece by piece.

    The arrays are grown in place: the allocator moves pages of large arrays instead of copying them. They grow to what is expected in all,
    since few steps leave few holes in memory, but never beyond 7/5 of what is there.
    """

    def __init__(self) -> None:
        self._item_ids = np.empty(0, dtype=np.int32)
        self._scores = np.empty(0, dtype=np.float32)
        self._n_postings = 0

    def claim(self, n: int, expected: int) -> tuple[np.ndarray, np.ndarray]:
        """The next `n` places, to be written.

        Parameters
        ----------
        n
            Postings to append, not negative.
        expected
            Guess of how many there will be in all, these included.

        Returns
        -------
        tuple of ndarray
            (n,) int32 item ids and (n,) float32 scores, views that must not be used after the next call of a method.
        """
        start, self._n_postings = self._n_postings, self._n_postings + n
        needed = self._n_postings
        if needed > len(self._item_ids):
            # A guess that is a little low must not make every block a step.
            self._resize(max(needed + needed // 16, min(expected, needed + 2 * needed // 5)))
        return self._item_ids[start : self._n_postings], self._scores[start : self._n_postings]

    def finished(self) -> tuple[np.ndarray, np.ndarray]:
        """The arrays, cut to what was claimed; nothing may be claimed afterwards."""
        self._resize(self._n_postings)
        return self._item_ids, self._scores

    def _resize(self, capacity: int) -> None:
        # The check would count views that are no longer used as users of the memory; `claim` says what a view is good for.
        self._item_ids.resize(capacity, refcheck=False)
        self._scores.resize(capacity, refcheck=False)
