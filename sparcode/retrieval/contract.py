"""One contract for every way to find items: `retrieve(queries, k) -> Retrieved`, and what it asks of the models behind it.

Every retriever returns items ordered by score, then lower item id, never one that is in the query's own history, and pads short results
with -1 and -inf. All but faiss, which would have to search again for what a filter leaves out, can be told which items may be returned.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.retrieval.top_k import Retrieved


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


class Retriever(Protocol):
    """The contract shared by sparse, exact and approximate search.

    Sparse and exact retrievers take a third argument, ``only``: an `ItemFilter` that says which items may be returned at all. The best k
    are then those of the allowed items, whatever scores the others have.
    """

    def retrieve(self, queries: Histories, k: int) -> Retrieved:
        """The k best items of every query that are not in it; `k` below 1 is a ValueError, above the catalogue is padded."""
        ...

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the arrays that serving needs, by part."""
        ...


@runtime_checkable
class ReportsBytes(Protocol):
    """A scorer that knows the bytes of its arrays."""

    def size_bytes(self) -> dict[str, int]:
        """Bytes by part."""
        ...
