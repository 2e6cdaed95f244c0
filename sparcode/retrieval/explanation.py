"""Why items have their scores: what each posting list of a query adds to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Contribution(NamedTuple):
    """What one list adds to an item's score.

    Attributes
    ----------
    code, served_by
        The query's code, and the code whose list was used: `code`, or the nearest stored code where `code` has no list.
    weight, raw_score
        w_t (the sum, where the query has the code more than once) and E(code, item); the latter is NaN where it is not stored.
    contribution
        ``weight * max(raw_score - threshold, 0)``, in float32.
    """

    code: int
    served_by: int
    weight: float
    raw_score: float
    contribution: float


class Explanation(NamedTuple):
    """Why an item has its score; the contributions, one per distinct code in order, add up to it in float32.

    `score` is 0 if no list holds the item. `is_seen`: the item is in the query, so never returned.
    """

    item_id: int
    score: float
    is_seen: bool
    contributions: tuple[Contribution, ...]


class PostingList(NamedTuple):
    """One list of a query: its code, the stored code that serves it, its weight, and its postings by descending score.

    `item_ids` are (n,) int32, `scores` (n,) float32, down to the index's floor.
    """

    code: int
    served_by: int
    weight: np.float32
    item_ids: np.ndarray
    scores: np.ndarray

    def lengths(self, thresholds: np.ndarray) -> np.ndarray:
        """How many of its postings lie above each of (n,) thresholds, compared in float32: (n,) int64."""
        return np.searchsorted(-self.scores, -np.asarray(thresholds, np.float32), side="left")

    def scores_of(self, items: np.ndarray) -> np.ndarray:
        """E of (n,) items, float32; NaN for items that the list does not hold."""
        # Few items are asked for and lists are long, so the items are sorted.
        distinct, places_of_items = np.unique(items, return_inverse=True)
        found = np.full(len(distinct), np.nan, np.float32)
        places = np.minimum(np.searchsorted(distinct, self.item_ids), max(0, len(distinct) - 1))
        if len(distinct):
            is_asked = distinct[places] == self.item_ids
            found[places[is_asked]] = self.scores[is_asked]
        return found[places_of_items]


class QueryExplanation(NamedTuple):
    """A whole query: its lists in the order in which they are added up, and what each adds to some items.

    Attributes
    ----------
    threshold
        tau, in units of E.
    lists
        One per distinct code of the query with a weight above 0.
    items
        (n,) int64, the items asked for.
    raw_scores
        (n, n_lists) float32, E(code, item); NaN where it is not stored.
    """

    threshold: float
    lists: tuple[PostingList, ...]
    items: np.ndarray
    raw_scores: np.ndarray

    @classmethod
    def of(cls, threshold: float, lists: tuple[PostingList, ...], items: np.ndarray) -> QueryExplanation:
        """Look the items up in all lists."""
        raw = np.empty((len(items), len(lists)), np.float32)
        for place, one in enumerate(lists):
            raw[:, place] = one.scores_of(items)
        return cls(threshold, lists, items, raw)

    @property
    def weights(self) -> np.ndarray:
        """(n_lists,) float32."""
        return np.array([one.weight for one in self.lists], np.float32)

    @property
    def lengths(self) -> np.ndarray:
        """(n_lists,) int64, postings above the threshold."""
        return self.lengths_at(np.array([self.threshold]))[0]

    def lengths_at(self, thresholds: np.ndarray) -> np.ndarray:
        """`lengths` at each of (n,) thresholds: (n, n_lists) int64."""
        lengths = np.empty((len(thresholds), len(self.lists)), np.int64)
        for place, one in enumerate(self.lists):
            lengths[:, place] = one.lengths(thresholds)
        return lengths

    @property
    def contributions(self) -> np.ndarray:
        """``weight * max(E - tau, 0)``, (n, n_lists) float32."""
        above = self.raw_scores - np.float32(self.threshold)
        # NaN is not above it either.
        return self.weights * np.where(above > 0, above, np.float32(0))

    @property
    def scores(self) -> np.ndarray:
        """(n,) float32: contributions, added in the order of the lists as the search does; 0 where no list holds the item."""
        sums = np.zeros(len(self.items), np.float32)
        for added in self.contributions.T:
            sums += added
        return sums

    def at(self, threshold: float) -> QueryExplanation:
        """The same lists and items at another threshold."""
        return self._replace(threshold=float(np.float32(threshold)))
