"""Search over the same sparse lists by one SciPy sparse product, for comparison."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparcode.data.interactions import Histories, offsets
from sparcode.index import kernels
from sparcode.index.coded_model import CodedModel, merged_codes
from sparcode.index.inverted_index import InvertedIndex
from sparcode.retrieval.contract import Retrieved, check_k, empty_result, seen_arrays
from sparcode.retrieval.filters import ItemFilter, denied_items
from sparcode.retrieval.list_store import ListStore, Unseen


class CsrRetriever:
    """Search by the product of a (B, n_lists) CSR matrix of weights and the (n_lists, I) CSR matrix of ``max(E - tau, 0)``.

    Items are those of a `SparseRetriever` with the same arguments and errors. Scores may differ in their last bits; items with scores that
    close may swap places.
    """

    def __init__(self, model: CodedModel, index: InvertedIndex, threshold: float, unseen: Unseen = "compute") -> None:
        if not np.isfinite(threshold):
            raise ValueError(f"threshold must be a finite number; got {threshold}")
        self.threshold = float(np.float32(threshold))
        self._store = ListStore(model, index, unseen)
        self._stored = list_matrix(index, self.threshold)
        self._extra = (self._store.extra, self._stored)

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """See `sparcode.retrieval.contract.Retriever`."""
        check_k(k)
        return self.retrieve_codes(*self._store.model.encode(queries), queries, k, only)

    def retrieve_codes(
        self, codes: np.ndarray, weights: np.ndarray, seen: Histories | None, k: int, only: ItemFilter | None = None
    ) -> Retrieved:
        """See `SparseRetriever.retrieve_codes`."""
        k = check_k(k)
        codes, weights = merged_codes(codes, weights)
        matrix, lists = self._matrix_for(codes)
        n_rows, width = codes.shape
        indptr, items = seen_arrays(seen, n_rows, matrix.shape[1])
        denied = denied_items(only, matrix.shape[1])
        starts = np.arange(n_rows + 1) * width
        scores = sparse.csr_array((weights.ravel(), lists.ravel(), starts), shape=(n_rows, matrix.shape[0])) @ matrix
        result = empty_result(n_rows, k)
        for row in range(n_rows):
            part = slice(scores.indptr[row], scores.indptr[row + 1])
            row_items, row_scores = scores.indices[part], scores.data[part]
            if len(denied):
                allowed = ~denied[row_items]
                row_items, row_scores = row_items[allowed], row_scores[allowed]
            found, values = _candidates(row_items, row_scores, k + int(indptr[row + 1] - indptr[row]))
            kernels.best_unseen(found[None], values[None], indptr, items, np.array([row]), *result)
        return result

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the matrix and of the codes of its rows, computed lists included."""
        matrix = self._extra[1]
        codes = self._store.index.codes.nbytes + self._store.extra.codes.nbytes
        return {"codes": codes, "indptr": matrix.indptr.nbytes, "item_ids": matrix.indices.nbytes, "scores": matrix.data.nbytes}

    def _matrix_for(self, codes: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
        """A matrix with rows for all codes, and the row of each."""
        lists, extra = self._store.resolve(codes)[:2]
        known = self._extra
        if known[0] is not extra:
            # Rows are numbered as in these computed lists, whatever another thread has found by now.
            known = self._extra = (extra, sparse.vstack([self._stored, list_matrix(extra, self.threshold)], format="csr"))
        return known[1], lists


def list_matrix(index: InvertedIndex, threshold: float) -> sparse.csr_array:
    """``max(E - tau, 0)`` of an index: (n_lists, I) float32 in CSR form, without zeros; ValueError if tau is below the floor or NaN."""
    lengths = index.list_lengths(threshold)
    indptr = offsets(lengths)
    kept = np.arange(indptr[-1]) + np.repeat(index.indptr[:-1] - indptr[:-1], lengths)
    scores = index.scores[kept] - np.float32(threshold)
    return sparse.csr_array((scores, index.item_ids[kept], indptr), shape=(index.n_lists, index.n_items))


def _candidates(items: np.ndarray, scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n best with a score above 0 (all that tie with the last included), best first: int64 and float32."""
    if len(scores) > n:
        least = np.partition(scores, len(scores) - n)[len(scores) - n]
        kept = scores >= least
        items, scores = items[kept], scores[kept]
    positive = scores > 0
    items, scores = items[positive], scores[positive]
    order = np.lexsort((items, -scores))
    return items[order].astype(np.int64), scores[order]
