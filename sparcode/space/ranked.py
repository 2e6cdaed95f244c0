"""Which items codes rank first, and which codes rank an item: read off the posting lists at one threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparcode.index.inverted_index import InvertedIndex


class CodeLists(NamedTuple):
    """Posting lists above a threshold tau, of codes without those of item lists.

    Attributes
    ----------
    codes
        (L,) int64, ascending.
    added
        (L, I) sparse float32: E(code, item) - tau, what the list adds to the item's score per unit of weight.
    """

    codes: np.ndarray
    added: csr_array

    def ranked(self, codes: np.ndarray, weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The n items that codes rank first, and what the codes add to each: (n,) int64 and float64, fewer where the lists are short.

        What is added is the mean over the (m,) codes with their (m,) weights: with the weights that tokens give the codes, what a token
        adds on average that takes one of them. Codes without a list add nothing. Ties go to the lower item.
        """
        codes, total = np.asarray(codes, np.int64), float(np.sum(weights))
        places = np.minimum(np.searchsorted(self.codes, codes), max(0, len(self.codes) - 1))
        has_list = self.codes[places] == codes if len(self.codes) else np.zeros(len(codes), bool)
        share = np.zeros(len(self.codes))
        np.add.at(share, places[has_list], np.asarray(weights, np.float64)[has_list] / (total or 1.0))
        values = np.asarray(share @ self.added)
        best = np.argsort(-values, kind="stable")[:n]
        best = best[values[best] > 0]
        return best, values[best]

    def strongest(self) -> np.ndarray:
        """(I,) int64 place of the list that holds each item highest; -1 where none does."""
        by_item = self.added.tocsc()
        found = np.full(by_item.shape[1], -1, np.int64)
        held = np.flatnonzero(np.diff(by_item.indptr))
        highest = np.maximum.reduceat(by_item.data, by_item.indptr[held]) if len(held) else by_item.data
        columns = np.repeat(np.arange(by_item.shape[1]), np.diff(by_item.indptr))
        limit = np.zeros(by_item.shape[1], by_item.dtype)
        limit[held] = highest
        is_best = np.flatnonzero(by_item.data == limit[columns])[::-1]
        # Backwards, so that ties go to the lower code.
        found[columns[is_best]] = by_item.indices[is_best]
        return found


def code_lists(index: InvertedIndex, threshold: float, first_list_code: int | None = None) -> CodeLists:
    """The lists of codes of an index, cut at a threshold, at least the index's floor."""
    of_codes = index.below(first_list_code)
    ends = of_codes.threshold_ends(threshold)
    starts = of_codes.indptr[:-1]
    lengths = ends - starts
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - starts, lengths)
    values = of_codes.scores[places] - np.float32(threshold)
    added = csr_array((values, of_codes.item_ids[places].astype(np.int64), indptr), shape=(of_codes.n_lists, of_codes.n_items))
    return CodeLists(of_codes.codes, added)
