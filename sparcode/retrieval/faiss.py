"""Approximate retrieval: item vectors searched with faiss, by inner product."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import faiss
import numpy as np

from sparcode.config import Config
from sparcode.data.interactions import Histories
from sparcode.index import kernels
from sparcode.retrieval.contract import Retrieved, VectorModel, check_k, empty_result, seen_arrays
from sparcode.retrieval.faiss_index import FAISS_CONFIGS, HNSWConfig, ItemIndex, IVFFlatConfig, IVFPQConfig, build_faiss, faiss_bytes
from sparcode.retrieval.filters import ItemFilter, denied_items

# Widths of searches are rounded up to an eighth of a power of two.
_STEPS_PER_OCTAVE = 8


class FaissRetriever:
    """Search item vectors with faiss, by inner product; the items are indexed at construction.

    `kind` is ``"flat"`` (exact), ``"hnsw"``, ``"ivfflat"`` or ``"ivfpq"``, `params` its settings (`sparcode.retrieval.faiss_index`).
    ValueError if one of them is unknown or out of bounds, or the vectors are not usable.
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

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """See `Retriever`; ties at the last place are faiss's choice."""
        check_k(k)
        return self.retrieve_vectors(self._model.query_vectors(queries), queries, k, only)

    def retrieve_vectors(self, vectors: np.ndarray, seen: Histories | None, k: int, only: ItemFilter | None = None) -> Retrieved:
        """Retrieve for queries that are encoded already: (B, D') float32, with B rows of items to leave out; see `search_faiss`."""
        return search_faiss(self._index, vectors, k, seen, only)

    def with_params(self, params: Mapping[str, int | float | str]) -> FaissRetriever:
        """The same index with other search settings: ``ef_search``, ``exclude``, ``n_probe`` or, with re-ranking, ``k_factor``.

        ValueError if another setting is named, one the kind does not have, or a value is out of bounds.
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


def search_faiss(items: ItemIndex, vectors: np.ndarray, k: int, seen: Histories | None, only: ItemFilter | None = None) -> Retrieved:
    """The k best items found for every query by inner product, without those it has seen.

    Items that a filter denies are passed over within faiss, and seen items too under HNSW's `exclude` selector. Otherwise as many more are
    asked for as the query has seen items, rounded up a little, so that queries go to faiss in few groups and one alone is answered as in a
    batch. Approximate indexes may find fewer than k: IVF looks only at the cells it visits, and HNSW stops after ef_search candidates, so a
    filter that allows few items needs more of either. HNSW's inner products are exact up to rounding, computed back from distances.

    Parameters
    ----------
    vectors
        (B, D') float32 query vectors.
    seen
        B rows of items to leave out.

    Raises
    ------
    ValueError
        If `k` is below 1 or the shapes do not fit.
    """
    k, n_items = check_k(k), items.index.ntotal
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != items.dim:
        raise ValueError(f"query vectors must be a (B, {items.dim}) array; got shape {vectors.shape}")
    indptr, seen_items = seen_arrays(seen, len(vectors), n_items)
    allowed = faiss.IDSelectorBitmap(only.allowed_bits) if len(denied_items(only, n_items)) else None
    result = empty_result(len(vectors), k)
    if len(seen_items) and isinstance(items.config, HNSWConfig) and items.config.exclude == "selector":
        for row in range(len(vectors)):
            selector = _without(seen_items[indptr[row] : indptr[row + 1]], allowed)
            scores, found = _inner_products(items, vectors[row : row + 1], min(k, n_items), selector)
            kernels.best_unseen(found, scores, indptr, seen_items, np.array([row]), *result)
        return result
    rows_of_width: dict[int, list[int]] = {}
    for row, n_seen in enumerate(np.diff(indptr).tolist()):
        rows_of_width.setdefault(min(n_items, search_width(k + n_seen)), []).append(row)
    for width, rows in rows_of_width.items():
        scores, found = _inner_products(items, vectors if len(rows) == len(vectors) else vectors[rows], width, allowed)
        kernels.best_unseen(found, scores, indptr, seen_items, np.array(rows), *result)
    return result


def search_width(n: int) -> int:
    """How many items are asked for where n are needed: rounded up to an eighth of the next power of two."""
    step = max(1, (1 << (n - 1).bit_length()) // _STEPS_PER_OCTAVE)
    return -(-n // step) * step


def hnsw_width(config: HNSWConfig, k: int, n_seen: int, n_items: int) -> int:
    """Candidates that a search looks at for a query that has seen so many items: its true efSearch."""
    width = min(k, n_items) if config.exclude == "selector" else min(n_items, search_width(k + n_seen))
    return max(config.ef_search, width)


def _without(passed: np.ndarray, allowed: faiss.IDSelector | None) -> faiss.IDSelector | None:
    """All items, or the allowed ones, but for some that are passed over."""
    if not len(passed):
        return allowed
    others = faiss.IDSelectorNot(faiss.IDSelectorBatch(passed.astype(np.int64)))
    return others if allowed is None else faiss.IDSelectorAnd(allowed, others)


def _inner_products(items: ItemIndex, vectors: np.ndarray, width: int, selector: faiss.IDSelector | None) -> tuple[np.ndarray, np.ndarray]:
    """(n, width) float32 inner products and int64 items, -1 where fewer were found; only items of the selector, if there is one."""
    config = items.config
    ef_search = max(config.ef_search, width) if isinstance(config, HNSWConfig) else 0
    params = _unfiltered(config, ef_search) if selector is None else _search_params(config, ef_search, selector)
    if items.largest_square is None:
        return items.index.search(vectors, width, params=params)
    asked = np.zeros((len(vectors), items.dim + 1), dtype=np.float32)
    asked[:, :-1] = vectors
    distances, found = items.index.search(asked, width, params=params)
    lengths = np.einsum("bd,bd->b", vectors, vectors) + np.float32(items.largest_square)
    # |q - v|^2 = |q|^2 + max |v|^2 - 2 q . v
    np.subtract(lengths[:, None], distances, out=distances)
    distances *= np.float32(0.5)
    return distances, found


def _search_params(config: Config, ef_search: int, selector: faiss.IDSelector | None) -> faiss.SearchParameters | None:
    """Faiss's own parameters; None: its defaults."""
    if isinstance(config, HNSWConfig):
        return faiss.SearchParametersHNSW(efSearch=ef_search, sel=selector)
    if isinstance(config, (IVFFlatConfig, IVFPQConfig)):
        cells = faiss.SearchParametersIVF(nprobe=config.n_probe, sel=selector)
        refined = isinstance(config, IVFPQConfig) and config.k_factor
        return faiss.IndexRefineSearchParameters(k_factor=config.k_factor, base_index_params=cells) if refined else cells
    return None if selector is None else faiss.SearchParameters(sel=selector)


@lru_cache(maxsize=1024)
def _unfiltered(config: Config, ef_search: int) -> faiss.SearchParameters | None:
    """Made once, since that takes as long as a small search; a search only reads them."""
    return _search_params(config, ef_search, None)
