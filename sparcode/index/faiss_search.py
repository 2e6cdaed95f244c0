"""faiss indexes over item vectors: settings, building, bytes, search without the items a query has seen."""

from __future__ import annotations

import math

import faiss
import numpy as np
from pydantic import Field

from sparcode.config import Config
from sparcode.data.interactions import Histories
from sparcode.index.ordering import posting_keys, postings_of_keys
from sparcode.index.top_k import PADDING_ID, PADDING_SCORE, Retrieved, check_k, empty_result, seen_arrays

_LAST_KEY = np.iinfo(np.uint64).max


class FlatConfig(Config):
    """Every inner product, no approximation."""


class HNSWConfig(Config):
    """A graph of near neighbours (Malkov and Yashunin, arXiv 1603.09320)."""

    n_links: int = Field(32, ge=2, le=256, description="Links per item and layer; more is more exact and larger.")
    ef_construction: int = Field(200, ge=1, le=10_000, description="Candidates looked at per item while building.")
    ef_search: int = Field(128, ge=1, le=100_000, description="Candidates looked at per query; at least as many as are asked for.")


class IVFPQConfig(Config):
    """Inverted lists of product-quantized vectors (Jegou, Douze and Schmid, 2011)."""

    n_lists: int = Field(0, ge=0, le=1_000_000, description="Coarse cells; 0 takes the square root of the catalogue.")
    n_subvectors: int = Field(
        0, ge=0, le=4096, description="Parts of a vector, a divisor of its dimensions; 0 takes two dimensions per part."
    )
    n_bits: int = Field(0, ge=0, le=12, description="Bits per part; 0 takes 8, or fewer where the catalogue is smaller than 256.")
    n_probe: int = Field(16, ge=1, le=1_000_000, description="Cells visited per query.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the clustering.")


FAISS_CONFIGS: dict[str, type[Config]] = {"flat": FlatConfig, "hnsw": HNSWConfig, "ivfpq": IVFPQConfig}


def build_faiss(vectors: np.ndarray, config: Config) -> faiss.Index:
    """Build an inner-product index, on one thread so that the same vectors give the same index.

    Parameters
    ----------
    vectors
        (I, D') float32 item vectors, I at least 1.
    config
        `FlatConfig`, `HNSWConfig` or `IVFPQConfig`.

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
    index = _untrained(*vectors.shape, config)
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index.train(vectors)
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(n_threads)
    return index


def _untrained(n_items: int, dim: int, config: Config) -> faiss.Index:
    if isinstance(config, FlatConfig):
        return faiss.IndexFlatIP(dim)
    if isinstance(config, HNSWConfig):
        index = faiss.IndexHNSWFlat(dim, config.n_links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = config.ef_construction
        return index
    n_lists = config.n_lists or max(1, math.isqrt(n_items))
    n_subvectors = config.n_subvectors or (dim // 2 if dim % 2 == 0 else dim)
    n_bits = config.n_bits or min(8, max(1, n_items.bit_length() - 1))
    if n_lists > n_items:
        raise ValueError(f"n_lists must be at most the number of items, {n_items}; got {n_lists}")
    if dim % n_subvectors:
        raise ValueError(f"n_subvectors must divide the {dim} dimensions of a vector; got {n_subvectors}")
    if 2**n_bits > n_items:
        raise ValueError(f"n_bits={n_bits} needs at least {2**n_bits} items to learn from; got {n_items}")
    coarse = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFPQ(coarse, dim, n_lists, n_subvectors, n_bits, faiss.METRIC_INNER_PRODUCT)
    for clustering in (index.cp, index.pq.cp):
        clustering.seed = config.seed
        clustering.min_points_per_centroid = 1  # a small catalogue is no mistake, and needs no warning
    return index


def faiss_bytes(index: faiss.Index) -> dict[str, int]:
    """Bytes of the arrays that serving needs, by part."""
    if isinstance(index, faiss.IndexHNSWFlat):
        hnsw = index.hnsw
        links = 4 * hnsw.neighbors.size() + 8 * hnsw.offsets.size() + 4 * hnsw.levels.size()
        return {"vectors": 4 * index.ntotal * index.d, "links": links}
    if isinstance(index, faiss.IndexIVFPQ):
        cells = 4 * index.nlist * index.d
        return {
            "codes": index.ntotal * index.code_size,
            "item_ids": 8 * index.ntotal,
            "cells": cells,
            "codebooks": 4 * index.pq.centroids.size(),
        }
    return {"vectors": 4 * index.ntotal * index.d}


def search_faiss(index: faiss.Index, config: Config, vectors: np.ndarray, k: int, seen: Histories | None) -> Retrieved:
    """The k best items found for every query, without those it has seen.

    As many more are asked for as the query has seen items, rounded up to a power of two (so that queries can go to faiss in few groups,
    and one alone is answered as in a batch). Approximate indexes may find fewer than k.

    Parameters
    ----------
    index
        From `build_faiss`.
    config
        The settings it was built with.
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
    k = check_k(k)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != index.d:
        raise ValueError(f"query vectors must be a (B, {index.d}) array; got shape {vectors.shape}")
    indptr, items = seen_arrays(seen, len(vectors), index.ntotal)
    result = empty_result(len(vectors), k)
    n_asked = np.array([_power_of_two(k + int(n_seen)) for n_seen in np.diff(indptr)], dtype=np.int64)
    n_asked = np.minimum(n_asked, index.ntotal)
    seen_keys = np.sort(np.repeat(np.arange(len(vectors)), np.diff(indptr)) * np.int64(index.ntotal) + items)
    for width in np.unique(n_asked):
        rows = np.flatnonzero(n_asked == width)
        scores, found = index.search(vectors[rows], int(width), params=_search_params(config, int(width)))
        keep = (found >= 0) & ~_is_in(rows[:, None] * np.int64(index.ntotal) + found, seen_keys)
        keys = np.where(keep, posting_keys(np.where(keep, scores, 0), np.where(keep, found, 0)), _LAST_KEY)
        result.item_ids[rows], result.scores[rows] = _best(keys, k)
    return result


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _search_params(config: Config, width: int) -> faiss.SearchParameters | None:
    if isinstance(config, HNSWConfig):
        return faiss.SearchParametersHNSW(efSearch=max(config.ef_search, width))
    if isinstance(config, IVFPQConfig):
        return faiss.SearchParametersIVF(nprobe=config.n_probe)
    return None


def _is_in(keys: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if len(ordered) == 0:
        return np.zeros(keys.shape, dtype=bool)
    return ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys


def _best(keys: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    keys = np.sort(keys, axis=1)[:, :k]
    keys = np.pad(keys, ((0, 0), (0, k - keys.shape[1])), constant_values=_LAST_KEY)
    item_ids, scores = postings_of_keys(keys)
    padding = keys == _LAST_KEY
    return np.where(padding, PADDING_ID, item_ids), np.where(padding, PADDING_SCORE, scores)
