"""From codes to lists, with an answer for codes that have none."""

from __future__ import annotations

import threading
from typing import Literal, NamedTuple

import numpy as np

from sparcode.index.block_index import BlockIndex
from sparcode.index.coded_model import CodedModel
from sparcode.index.index_builder import add_lists, build_index
from sparcode.index.inverted_index import InvertedIndex, lists_of_codes

Unseen = Literal["compute", "nearest"]
# Codes without a list that are scored at a time.
_BLOCK_CODES = 64


class ResolvedLists(NamedTuple):
    """Where the lists of some codes are.

    Attributes
    ----------
    lists
        int64, the codes' shape: below the stored index's ``n_lists`` a stored list, from there on a list of `extra`.
    extra
        Lists computed for codes that the stored index does not have.
    is_unseen
        bool, same shape: the code has no list in the stored index; None: all codes have one.
    """

    lists: np.ndarray
    extra: InvertedIndex
    is_unseen: np.ndarray | None


class ListStore:
    """The lists of an index, with an answer for codes that have none. Safe to share between threads.

    For such a code, `unseen` ``"compute"`` scores it and keeps its list; ``"nearest"`` takes the stored code whose vector is nearest (L2;
    ties to the lower code). ValueError if catalogues differ, `unseen` is another word, or no code is stored for ``"nearest"``.
    """

    def __init__(self, model: CodedModel, index: InvertedIndex | BlockIndex, unseen: Unseen = "compute") -> None:
        if model.n_items != index.n_items:
            raise ValueError(f"the index is over {index.n_items} items; the model has {model.n_items}")
        if unseen not in ("compute", "nearest"):
            raise ValueError(f"unseen must be 'compute' or 'nearest'; got {unseen!r}")
        if unseen == "nearest" and index.n_lists == 0:
            raise ValueError("unseen='nearest' needs an index with at least one list; this one is empty")
        self.model = model
        self.index = index
        self.unseen = unseen
        self._lock = threading.Lock()
        self._stored_vectors: np.ndarray | None = None
        self._extra = build_index(model, np.zeros(0, dtype=np.int64), index.floor, _BLOCK_CODES)

    @property
    def extra(self) -> InvertedIndex:
        """Lists computed so far for codes the index does not have."""
        return self._extra

    def resolve(self, codes: np.ndarray) -> ResolvedLists:
        """Find a list for every code (integers of any shape, not negative); ``"compute"`` makes those that are missing."""
        lists, n_missing = lists_of_codes(self.index.codes, codes)
        extra = self._extra
        if n_missing == 0:
            return ResolvedLists(lists, extra, None)
        is_unseen = lists < 0
        missing = codes[is_unseen]
        if self.unseen == "nearest":
            lists[is_unseen] = self._nearest(missing)
        else:
            if np.any(extra.rows_of(missing) < 0):
                with self._lock:
                    extra = self._extra = add_lists(self._extra, self.model, missing, _BLOCK_CODES)
            lists[is_unseen] = self.index.n_lists + extra.rows_of(missing)
        return ResolvedLists(lists, extra, is_unseen)

    def _nearest(self, codes: np.ndarray) -> np.ndarray:
        with self._lock:
            if self._stored_vectors is None:
                self._stored_vectors = np.asarray(self.model.code_vectors(self.index.codes), dtype=np.float64)
        stored = self._stored_vectors
        distinct, inverse = np.unique(codes, return_inverse=True)
        vectors = np.asarray(self.model.code_vectors(distinct), dtype=np.float64)
        # |v - s|^2 without |v|^2, which is the same for every stored code.
        distances = np.einsum("rd,rd->r", stored, stored) - 2 * vectors @ stored.T  # (n, n_lists)
        return np.argmin(distances, axis=1)[inverse]
