"""faiss indexes over item vectors: building, bytes, search without the items a query has seen."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import faiss
import numpy as np

from sparcode.config import Config
from sparcode.data.interactions import Histories
from sparcode.retrieval.faiss_configs import FlatConfig, HNSWConfig, IVFFlatConfig, IVFPQConfig
from sparcode.retrieval.found_items import best_unseen
from sparcode.retrieval.top_k import Retrieved, check_k, empty_result, seen_arrays

# Widths of searches are rounded up to an eighth of a power of two.
_STEPS_PER_OCTAVE = 8


class ItemIndex(NamedTuple):
    """A faiss index and what is needed to put queries to it.

    Attributes
    ----------
    index
        Over item vectors, with one dimension more where the inner product was turned into a distance.
    config
        Settings it was built with.
    dim
        D', dimensions of a query vector.
    largest_square
        max |v|^2 over items where the inner product was turned into a distance; None elsewhere.
    """

    index: faiss.Index
    config: Config
    dim: int
    largest_square: float | None = None


def build_faiss(vectors: np.ndarray, config: Config, n_threads: int = 1) -> ItemIndex:
    """Build an index that finds large inner products.

    Parameters
    ----------
    vectors
        (I, D') float32 item vectors, I at least 1.
    config
        One of the settings of `sparcode.retrieval.faiss_configs`.
    n_threads
        Only one gives the same index for the same vectors every time.

    Raises
    ------
    ValueError
        If the vectors are not finite or not two-dimensional, or the settings do not fit their number or dimensions.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"item vectors must be an (I, D') array with at least one entry; got shape {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError("item vectors must be finite")
    dim, largest_square = vectors.shape[1], None
    if isinstance(config, HNSWConfig) and config.reduction == "l2":
        vectors, largest_square = _with_missing_length(vectors)
    index = _untrained(*vectors.shape, config)
    threads_before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_threads)
    try:
        index.train(vectors)
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads_before)
    return ItemIndex(index, config, dim, largest_square)


def _with_missing_length(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Vectors made equally long by one more dimension, and their squared length."""
    squares = np.einsum("id,id->i", vectors, vectors, dtype=np.float64)
    largest = float(squares.max())
    return np.concatenate([vectors, np.sqrt(largest - squares)[:, None].astype(np.float32)], axis=1), largest


def _untrained(n_items: int, dim: int, config: Config) -> faiss.Index:
    if isinstance(config, FlatConfig):
        return faiss.IndexFlatIP(dim)
    if isinstance(config, HNSWConfig):
        metric = faiss.METRIC_L2 if config.reduction == "l2" else faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWFlat(dim, config.n_links, metric)
        index.hnsw.efConstruction = config.ef_construction
        return index
    n_lists = config.n_lists or max(1, math.isqrt(n_items))
    if n_lists > n_items:
        raise ValueError(f"n_lists must be at most the number of items, {n_items}; got {n_lists}")
    if isinstance(config, IVFFlatConfig):
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, n_lists, faiss.METRIC_INNER_PRODUCT)
        _seed((index.cp,), config.seed)
        return index
    return _untrained_ivfpq(n_items, dim, n_lists, config)


def _untrained_ivfpq(n_items: int, dim: int, n_lists: int, config: IVFPQConfig) -> faiss.Index:
    n_subvectors = config.n_subvectors or (dim // 2 if dim % 2 == 0 else dim)
    n_bits = config.n_bits or min(8, max(1, n_items.bit_length() - 1))
    if dim % n_subvectors:
        raise ValueError(f"n_subvectors must divide the {dim} dimensions of a vector; got {n_subvectors}")
    if 2**n_bits > n_items:
        raise ValueError(f"n_bits={n_bits} needs at least {2**n_bits} items to learn from; got {n_items}")
    index = faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, n_lists, n_subvectors, n_bits, faiss.METRIC_INNER_PRODUCT)
    _seed((index.cp, index.pq.cp), config.seed)
    if not config.k_factor:
        return index
    refined = faiss.IndexRefineFlat(index)
    refined.own_fields = True
    index.this.disown()
    return refined


def _seed(clusterings: tuple[faiss.ClusteringParameters, ...], seed: int) -> None:
    for clustering in clusterings:
        clustering.seed = seed
        clustering.min_points_per_centroid = 1  # a small catalogue is no mistake, and needs no warning


def faiss_bytes(items: ItemIndex) -> dict[str, int]:
    """Bytes of the arrays that serving needs, by part."""
    index = items.index
    if isinstance(index, faiss.IndexRefineFlat):
        by_codes = ItemIndex(faiss.downcast_index(index.base_index), items.config, items.dim)
        return faiss_bytes(by_codes) | {"vectors": 4 * index.ntotal * index.d}
    if isinstance(index, faiss.IndexHNSWFlat):
        hnsw = index.hnsw
        links = 4 * hnsw.neighbors.size() + 8 * hnsw.offsets.size() + 4 * hnsw.levels.size()
        return {"vectors": 4 * index.ntotal * index.d, "links": links}
    if isinstance(index, (faiss.IndexIVFFlat, faiss.IndexIVFPQ)):
        stored = {"item_ids": 8 * index.ntotal, "cells": 4 * index.nlist * index.d}
        if isinstance(index, faiss.IndexIVFFlat):
            return {"vectors": index.ntotal * index.code_size, **stored}
        return {"codes": index.ntotal * index.code_size, **stored, "codebooks": 4 * index.pq.centroids.size()}
    return {"vectors": 4 * index.ntotal * index.d}


def search_faiss(items: ItemIndex, vectors: np.ndarray, k: int, seen: Histories | None) -> Retrieved:
    """The k best items found for every query by inner product, without those it has seen.

    HNSW can pass over seen items in its graph (`exclude`). Else as many more are asked for as the query has seen items, rounded up a
    little, so that queries can go to faiss in few groups and one alone is answered as in a batch. Approximate indexes may find fewer than
    k. Scores are inner products, with HNSW up to rounding, since they are computed back from distances.

    Parameters
    ----------
    items
        From `build_faiss`.
    vectors
        (B, D') float32 query vectors.
    k
        Items per query.
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
    result = empty_result(len(vectors), k)
    if len(seen_items) and isinstance(items.config, HNSWConfig) and items.config.exclude == "selector":
        for row in range(len(vectors)):
            passed = seen_items[indptr[row] : indptr[row + 1]]
            scores, found = _inner_products(items, vectors[row : row + 1], min(k, n_items), passed)
            best_unseen(found, scores, indptr, seen_items, np.array([row]), *result)
        return result
    rows_of_width: dict[int, list[int]] = {}
    for row, n_seen in enumerate(np.diff(indptr).tolist()):
        rows_of_width.setdefault(min(n_items, search_width(k + n_seen)), []).append(row)
    for width, rows in rows_of_width.items():
        scores, found = _inner_products(items, vectors if len(rows) == len(vectors) else vectors[rows], width)
        best_unseen(found, scores, indptr, seen_items, np.array(rows), *result)
    return result


def search_width(n: int) -> int:
    """How many items are asked for where n are needed: rounded up to an eighth of the next power of two."""
    step = max(1, (1 << (n - 1).bit_length()) // _STEPS_PER_OCTAVE)
    return -(-n // step) * step


def _inner_products(items: ItemIndex, vectors: np.ndarray, width: int, passed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(n, width) float32 inner products and int64 items, -1 where fewer were found; `passed` items are never found."""
    params = _search_params(items.config, width) if passed is None or not len(passed) else _hnsw_without(passed, items.config, width)
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


def _search_params(config: Config, width: int) -> faiss.SearchParameters | None:
    if isinstance(config, HNSWConfig):
        return _hnsw_params(max(config.ef_search, width))
    if isinstance(config, IVFPQConfig) and config.k_factor:
        return _refine_params(config.n_probe, config.k_factor)
    if isinstance(config, (IVFFlatConfig, IVFPQConfig)):
        return _ivf_params(config.n_probe)
    return None


def hnsw_width(config: HNSWConfig, k: int, n_seen: int, n_items: int) -> int:
    """Candidates that a search looks at for a query that has seen so many items: its true efSearch."""
    width = min(k, n_items) if config.exclude == "selector" else min(n_items, search_width(k + n_seen))
    return max(config.ef_search, width)


def _hnsw_without(passed: np.ndarray, config: HNSWConfig, width: int) -> faiss.SearchParameters:
    selector = faiss.IDSelectorNot(faiss.IDSelectorBatch(passed.astype(np.int64)))
    return faiss.SearchParametersHNSW(efSearch=max(config.ef_search, width), sel=selector)


# Making one takes as long as a small search; a search only reads it.
@lru_cache(maxsize=1024)
def _hnsw_params(ef_search: int) -> faiss.SearchParameters:
    return faiss.SearchParametersHNSW(efSearch=ef_search)


@lru_cache(maxsize=1024)
def _ivf_params(n_probe: int) -> faiss.SearchParameters:
    return faiss.SearchParametersIVF(nprobe=n_probe)


@lru_cache(maxsize=1024)
def _refine_params(n_probe: int, k_factor: float) -> faiss.SearchParameters:
    return faiss.IndexRefineSearchParameters(k_factor=k_factor, base_index_params=faiss.SearchParametersIVF(nprobe=n_probe))
