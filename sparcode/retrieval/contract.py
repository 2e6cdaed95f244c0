"""One contract for every retriever: `retrieve(queries, k, only) -> Retrieved`, and what it asks of the models behind it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import Histories
from sparcode.retrieval.filters import ItemFilter

# Shared by all searches, none of which writes on them.
_NOTHING_SEEN = np.zeros(2, dtype=np.int64)
_NO_ITEMS = np.zeros(0, dtype=np.int32)


class Retrieved(NamedTuple):
    """Items per query, best first, ties by lower item id: (B, k) int32 ids padded with -1, (B, k) float32 scores padded with -inf."""

    item_ids: np.ndarray
    scores: np.ndarray


class Retriever(Protocol):
    """The contract shared by sparse, exact and approximate search."""

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """The k best of the items that `only` allows (None: all) and the query does not contain; fewer are padded.

        ValueError if `k` is below 1, or the filter is over another catalogue.
        """
        ...

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the arrays that serving needs, by part."""
        ...


class Scorer(Protocol):
    """Anything that scores every item for a query."""

    n_items: int

    def score(self, queries: Histories) -> np.ndarray:
        """(B, I) float32; higher is better, -inf is never returned."""
        ...


class VectorModel(Protocol):
    """A model whose score is an inner product, as faiss needs it."""

    def query_vectors(self, queries: Histories) -> np.ndarray:
        """(B, D') float32."""
        ...

    def item_vectors(self) -> np.ndarray:
        """(I, D') float32."""
        ...


@runtime_checkable
class ReportsBytes(Protocol):
    """A scorer that knows the bytes of its arrays."""

    def size_bytes(self) -> dict[str, int]:
        """Bytes by part."""
        ...


def check_k(k: int) -> int:
    """`k` as an int; ValueError if it is not a whole number of at least 1."""
    if type(k) is int and k > 0:
        return k
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1; got {k!r}")
    return int(k)


def seen_arrays(seen: Histories | None, n_rows: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """``(indptr int64, items int32)`` of what each row must not return; `None` is nothing.

    ValueError if `seen` has another number of rows or another catalogue.
    """
    if seen is None:
        return (_NOTHING_SEEN if n_rows == 1 else np.zeros(n_rows + 1, dtype=np.int64)), _NO_ITEMS
    if len(seen) != n_rows:
        raise ValueError(f"seen must have one row per query, {n_rows}; got {len(seen)}")
    if seen.n_items != n_items:
        raise ValueError(f"seen is over a catalogue of {seen.n_items} items; the scores are over {n_items}")
    return contiguous(seen.indptr, np.int64), contiguous(seen.items, np.int32)


def empty_result(n_rows: int, k: int) -> Retrieved:
    """Unwritten arrays for `n_rows` results."""
    return Retrieved(np.empty((n_rows, k), dtype=np.int32), np.empty((n_rows, k), dtype=np.float32))
