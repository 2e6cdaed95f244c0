"""faiss indexes over item vectors: their settings, how they are built, their bytes."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import faiss
import numpy as np
from pydantic import Field

from sparcode.config import Config

_N_LISTS = Field(0, ge=0, le=1_000_000, description="Coarse cells; 0 takes the square root of the catalogue.")
_N_PROBE = Field(16, ge=1, le=1_000_000, description="Cells visited per query.")
_SEED = Field(0, ge=0, le=2**31 - 1, description="Seed of the clustering.")


class FlatConfig(Config):
    """Every inner product, no approximation."""


class HNSWConfig(Config):
    """A graph of near neighbours (Malkov and Yashunin, arXiv 1603.09320).

    Over raw inner products few items of a large catalogue with uneven norms are ever linked to. One more dimension, ``sqrt(max |v|^2 -
    |v|^2)`` for items and 0 for queries, makes the largest inner product the least distance (Bachrach et al., RecSys 2014).
    """

    n_links: int = Field(32, ge=2, le=256, description="Links per item and layer; more is more exact and larger.")
    ef_construction: int = Field(200, ge=1, le=10_000, description="Candidates looked at per item while building.")
    ef_search: int = Field(128, ge=1, le=100_000, description="Candidates looked at per query; at least as many as are asked for.")
    reduction: Literal["l2", "none"] = Field(
        "l2", description="What neighbours are near by: l2 (distance, with one dimension more) or none (the inner product itself)."
    )
    exclude: Literal["ask_more", "selector"] = Field(
        "ask_more",
        description="Items a query has seen: ask_more (that many more are asked for, ef_search rises with them) or selector (passed over).",
    )


class IVFFlatConfig(Config):
    """Inverted lists of whole vectors (Jegou, Douze and Schmid, 2011, without their compression)."""

    n_lists: int = _N_LISTS
    n_probe: int = _N_PROBE
    seed: int = _SEED


class IVFPQConfig(Config):
    """Inverted lists of product-quantized vectors (Jegou, Douze and Schmid, 2011)."""

    n_lists: int = _N_LISTS
    n_subvectors: int = Field(
        0, ge=0, le=4096, description="Parts of a vector, a divisor of its dimensions; 0 takes two dimensions per part."
    )
    n_bits: int = Field(0, ge=0, le=12, description="Bits per part; 0 takes 8, or fewer where the catalogue is smaller than 256.")
    n_probe: int = _N_PROBE
    k_factor: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        description="Re-ranking: so many times as many are found by codes, then ordered by whole vectors, which are kept too; 0: none.",
    )
    seed: int = _SEED


FAISS_CONFIGS: dict[str, type[Config]] = {"flat": FlatConfig, "hnsw": HNSWConfig, "ivfflat": IVFFlatConfig, "ivfpq": IVFPQConfig}


class ItemIndex(NamedTuple):
    """A faiss index and what is needed to query it.

    Attributes
    ----------
    index
        Over item vectors, with one dimension more where the inner product was turned into a distance.
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
    """Build an index over (I, D') float32 item vectors that finds large inner products; reproducible with one thread only.

    ValueError if the vectors are empty, not finite or not two-dimensional, or the settings do not fit their number or dimensions.
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
