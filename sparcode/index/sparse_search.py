"""Search in an inverted index: codes to lists, codes without a list, several threads."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.inverted_index import InvertedIndex, build_index
from sparcode.index.kernels import Postings, SearchRows, search_rows
from sparcode.index.top_k import Retrieved, check_k, empty_result, plain, seen_arrays

if TYPE_CHECKING:
    from sparcode.retrieval import CodedModel

Unseen = Literal["compute", "nearest"]
# Starting a thread costs about as much as searching this many rows.
MIN_ROWS_PER_THREAD = 32


class ResolvedLists(NamedTuple):
    """Where the lists of some codes are.

    Attributes
    ----------
    lists
        int64, the codes' shape: below the stored index's ``n_lists`` a stored list, from there on a list of `extra`.
    extra
        Lists computed for codes that the stored index does not have.
    is_unseen
        bool, same shape: the code has no list in the stored index.
    """

    lists: np.ndarray
    extra: InvertedIndex
    is_unseen: np.ndarray


class ListStore:
    """The lists of an index, with an answer for codes that have none. Safe to share between threads.

    Parameters
    ----------
    model
        The model the index was built from.
    index
        Stored lists.
    unseen
        ``"compute"``: score the code, keep its list. ``"nearest"``: take the stored code whose vector is nearest
        (L2; ties to the lower code).
    block_codes
        Codes scored at a time.

    Raises
    ------
    ValueError
        If catalogues differ, `unseen` is another word, or ``"nearest"`` has nothing to choose from.
    """

    def __init__(self, model: CodedModel, index: InvertedIndex, unseen: Unseen = "compute", block_codes: int = 64) -> None:
        if model.n_items != index.n_items:
            raise ValueError(f"the index is over {index.n_items} items; the model has {model.n_items}")
        if unseen not in ("compute", "nearest"):
            raise ValueError(f"unseen must be 'compute' or 'nearest'; got {unseen!r}")
        if unseen == "nearest" and index.n_lists == 0:
            raise ValueError("unseen='nearest' needs an index with at least one list; this one is empty")
        self.model = model
        self.index = index
        self.unseen = unseen
        self._block_codes = block_codes
        self._lock = threading.Lock()
        self._stored_vectors: np.ndarray | None = None
        self._extra = build_index(model, np.zeros(0, dtype=np.int64), index.floor, block_codes)

    @property
    def extra(self) -> InvertedIndex:
        """Lists computed so far for codes the index does not have."""
        return self._extra

    def resolve(self, codes: np.ndarray) -> ResolvedLists:
        """Find a list for every code, computing those that are missing if that is the rule.

        Parameters
        ----------
        codes
            Integers of any shape, not negative.
        """
        lists = self.index.rows_of(codes)
        is_unseen = lists < 0
        extra = self._extra
        if is_unseen.any():
            missing = codes[is_unseen]
            if self.unseen == "nearest":
                lists[is_unseen] = self._nearest(missing)
            else:
                if np.any(extra.rows_of(missing) < 0):
                    with self._lock:
                        extra = self._extra = self._extra.add_lists(self.model, missing, self._block_codes)
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


class Accumulators:
    """Zeroed (I,) float32 workspaces, lent to one search at a time and kept for the next."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self._free: deque[np.ndarray] = deque()

    def take(self) -> np.ndarray:
        """A workspace of zeros; give it back as zeros."""
        try:
            return self._free.pop()
        except IndexError:
            return np.zeros(self.n_items, dtype=np.float32)

    def give(self, accumulator: np.ndarray) -> None:
        """Return a workspace."""
        self._free.append(accumulator)


def postings_above(index: InvertedIndex, threshold: float) -> Postings:
    """The index as the kernels take it, cut at a threshold."""
    return Postings(index.indptr, index.threshold_ends(threshold), index.item_ids, index.scores)


def checked_rows(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and weights of queries as int64 and float32.

    Raises
    ------
    ValueError
        If they are no (B, S) arrays of the same shape, a code is negative, or a weight is negative or not finite.
    """
    codes, weights = np.asarray(codes), np.asarray(weights)
    if codes.ndim != 2 or codes.shape != weights.shape:
        raise ValueError(f"codes and weights must be (B, S) arrays of one shape; got {codes.shape} and {weights.shape}")
    if codes.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers; got dtype {codes.dtype}")
    if codes.size and codes.min() < 0:
        raise ValueError(f"codes must not be negative; got {codes.min()}")
    weights = plain(weights, np.float32)
    if weights.size and not (weights.min() >= 0 and weights.max() < np.inf):
        raise ValueError("weights must be finite and not negative")
    return codes.astype(np.int64, copy=False), weights


def search(
    lists: np.ndarray,
    weights: np.ndarray,
    postings: tuple[Postings, Postings],
    threshold: float,
    seen: Histories | None,
    k: int,
    workspaces: tuple[Accumulators, int],
) -> Retrieved:
    """The k best unseen items of every row of lists.

    Parameters
    ----------
    lists
        (B, S) int64, as in `ResolvedLists`.
    weights
        (B, S) float32.
    postings
        Stored and extra lists, cut at `threshold`.
    threshold
        tau.
    seen
        B rows of items to leave out.
    k
        Items per query.
    workspaces
        Accumulators, and the number of threads that may be used; the result is the same for any number.

    Returns
    -------
    Retrieved
        Ordered by score, then lower item id; only items with a score above 0.
    """
    accumulators, n_threads = workspaces
    n_rows = len(lists)
    result = empty_result(n_rows, check_k(k))
    lists = plain(lists, np.int64)
    seen_indptr, seen_items = seen_arrays(seen, n_rows, accumulators.n_items)

    def run(first: int, last: int) -> None:
        accumulator = accumulators.take()
        rows = SearchRows(lists[first:last], weights[first:last], seen_indptr[first : last + 1], seen_items)
        search_rows(rows, *postings, np.float32(threshold), accumulator, result.item_ids[first:last], result.scores[first:last])
        accumulators.give(accumulator)

    n_parts = max(1, min(n_threads, n_rows // MIN_ROWS_PER_THREAD))
    bounds = [n_rows * part // n_parts for part in range(n_parts + 1)]
    if n_parts == 1:
        run(0, n_rows)
    else:
        with ThreadPoolExecutor(n_parts) as pool:
            list(pool.map(run, bounds[:-1], bounds[1:]))
    return result
