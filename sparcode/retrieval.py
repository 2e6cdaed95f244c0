"""One contract for every way to find items: `retrieve(queries, k) -> Retrieved`, and what it asks of the models behind it.

Every retriever returns items ordered by score, then lower item id, never one that is in the query's own history, and pads short results
with -1 and -inf. All but faiss, which would have to search again for what a filter leaves out, can be told which items may be returned.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from sparcode.config import Config
from sparcode.data.interactions import Histories
from sparcode.index.faiss_configs import FAISS_CONFIGS
from sparcode.index.faiss_search import build_faiss, faiss_bytes, search_faiss
from sparcode.index.item_filter import ItemFilter
from sparcode.index.score_table import code_scores
from sparcode.index.sparse_retriever import Contribution, Explanation, SparseRetriever
from sparcode.index.sparse_search import checked_rows
from sparcode.index.top_k import Retrieved, check_k, empty_result, top_k

__all__ = [
    "CodedModel",
    "Contribution",
    "ExactRetriever",
    "Explanation",
    "FaissRetriever",
    "ItemFilter",
    "ReportsBytes",
    "Retrieved",
    "Retriever",
    "Scorer",
    "SparseDirectScorer",
    "SparseRetriever",
    "VectorModel",
    "sparse_direct_scores",
]

# Dense scores are made this many at a time (64 MiB of float32), however many queries come at once.
MAX_DENSE_SCORES = 1 << 24


class Scorer(Protocol):
    """Anything that scores every item for a query."""

    n_items: int

    def score(self, queries: Histories) -> np.ndarray:
        """(B, I) float32; higher is better, -inf is never returned."""
        ...


class CodedModel(Protocol):
    """What the index needs of a trained SparCode model."""

    n_items: int

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Codes (B, S) int64 and weights (B, S) float32; S lists per query, in which a code may repeat."""
        ...

    def score_codes(self, codes: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """(n,) int64 -> (n, I) float32, E before the threshold; with (m,) int64 `items` of these alone, (n, m)."""
        ...

    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        """(n,) int64 -> (n, D) float32, the quantized token of each code."""
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


class ExactRetriever:
    """Score every item and take the best: exact for any scorer.

    Parameters
    ----------
    scorer
        Scores every item.
    part_bytes
        Bytes of the arrays the scorer needs, by part, for a scorer that does not report them itself.
    """

    def __init__(self, scorer: Scorer, part_bytes: Mapping[str, int] | None = None) -> None:
        self.scorer = scorer
        self._part_bytes = part_bytes

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """The k best items of every query that are not in it; see `Retriever`. `only` says which items may be returned at all."""
        result = empty_result(len(queries), check_k(k))
        step = max(1, MAX_DENSE_SCORES // max(self.scorer.n_items, 1))
        for start in range(0, len(queries), step):
            rows = np.arange(start, min(start + step, len(queries)))
            block = queries.take(rows)
            found = top_k(self.scorer.score(block), k, block, only)
            result.item_ids[rows], result.scores[rows] = found
        return result

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the scorer's arrays, by part.

        Raises
        ------
        ValueError
            If neither the scorer nor the constructor says.
        """
        if self._part_bytes is not None:
            return dict(self._part_bytes)
        if not isinstance(self.scorer, ReportsBytes):
            raise ValueError(f"{type(self.scorer).__name__} does not report its bytes; pass part_bytes")
        return self.scorer.size_bytes()


class FaissRetriever:
    """Search item vectors with faiss, by inner product.

    Parameters
    ----------
    vector_model
        Gives query and item vectors; the items are indexed now.
    kind
        ``"flat"`` (exact), ``"hnsw"``, ``"ivfflat"`` or ``"ivfpq"``.
    params
        Settings of that kind, see `sparcode.index.faiss_configs`.

    Raises
    ------
    ValueError
        If `kind` or a setting is unknown or out of bounds, or the vectors are not usable.
    """

    def __init__(
        self,
        vector_model: VectorModel,
        kind: Literal["flat", "hnsw", "ivfflat", "ivfpq"] = "flat",
        params: Mapping[str, int | float | str] | None = None,
    ) -> None:
        if kind not in FAISS_CONFIGS:
            raise ValueError(f"kind must be one of {', '.join(FAISS_CONFIGS)}; got {kind!r}")
        self.kind = kind
        self.config: Config = FAISS_CONFIGS[kind].model_validate(dict(params or {}))
        self._model = vector_model
        self._index = build_faiss(vector_model.item_vectors(), self.config)

    def retrieve(self, queries: Histories, k: int) -> Retrieved:
        """The k best items found for every query that are not in it; ties at the last place are faiss's choice. See `Retriever`."""
        check_k(k)
        return self.retrieve_vectors(self._model.query_vectors(queries), queries, k)

    def retrieve_vectors(self, vectors: np.ndarray, seen: Histories | None, k: int) -> Retrieved:
        """Retrieve for queries that are encoded already: (B, D') float32, with B rows of items to leave out; see `search_faiss`."""
        return search_faiss(self._index, vectors, k, seen)

    def with_params(self, params: Mapping[str, int | float | str]) -> FaissRetriever:
        """The same index searched otherwise.

        Parameters
        ----------
        params
            Only ``ef_search``, ``exclude``, ``n_probe`` and, where there is re-ranking, ``k_factor`` matter after building.

        Raises
        ------
        ValueError
            If another setting is named, one the kind does not have, or a value is out of bounds.
        """
        refined = {"k_factor"} if getattr(self.config, "k_factor", 0) else set()
        allowed = sorted({"ef_search", "exclude", "n_probe"} & set(type(self.config).model_fields) | refined)
        if other := sorted(set(params) - set(allowed)):
            raise ValueError(
                f"{', '.join(other)} cannot be changed in a built {self.kind} index; allowed: {', '.join(allowed) or 'nothing'}"
            )
        changed = copy.copy(self)
        changed.config = type(self.config).model_validate(self.config.model_dump() | dict(params))
        if refined and not changed.config.k_factor:
            raise ValueError("k_factor cannot be 0 in an index built with re-ranking")
        changed._index = self._index._replace(config=changed.config)
        return changed

    def size_bytes(self) -> dict[str, int]:
        """Bytes of vectors, links, codes and tables, by part."""
        return faiss_bytes(self._index)


class SparseDirectScorer:
    """The thresholded model scored directly, item by item: what a `SparseRetriever` must agree with.

    Parameters
    ----------
    model
        A trained SparCode model.
    threshold
        tau.
    """

    def __init__(self, model: CodedModel, threshold: float) -> None:
        self.n_items = model.n_items
        self.model = model
        self.threshold = threshold

    def score(self, queries: Histories) -> np.ndarray:
        """(B, I) float32; see `sparse_direct_scores`."""
        return sparse_direct_scores(self.model, queries, self.threshold)


def sparse_direct_scores(model: CodedModel, queries: Histories, threshold: float) -> np.ndarray:
    """``y(query, item) = sum over s of w_s * ReLU(E(code_s, item) - tau)`` without an index, added in float32 in the order of the codes.

    Parameters
    ----------
    model
        A trained SparCode model.
    queries
        B rows.
    threshold
        tau.

    Returns
    -------
    np.ndarray
        (B, I) float32. A sum of 0 becomes -inf: no list holds the item, so it is not retrieved.
    """
    codes, weights = checked_rows(*model.encode(queries))
    tau = np.float32(threshold)
    scores = np.zeros((len(codes), model.n_items), dtype=np.float32)
    step = max(1, MAX_DENSE_SCORES // max(codes.shape[1] * model.n_items, 1))
    for start in range(0, len(codes), step):
        block = slice(start, start + step)
        distinct, rows = np.unique(codes[block], return_inverse=True)
        kept = np.maximum(code_scores(model, distinct) - tau, np.float32(0))  # (n, I)
        for slot_rows, slot_weights in zip(rows.reshape(codes[block].shape).T, weights[block].T, strict=True):
            scores[block] += slot_weights[:, None] * kept[slot_rows]
    scores[scores == 0] = -np.inf
    return scores
