"""Retrievers over tables, and queries to put to them."""

from __future__ import annotations

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel

N_ITEMS = 40


def random_model(n_codes: int = 12, n_items: int = N_ITEMS, seed: int = 0) -> TableModel:
    rng = np.random.default_rng(seed)
    return TableModel(rng.normal(size=(n_codes, n_items)), rng.normal(size=(n_codes, 3)).astype(np.float32))


def sparse(
    model: TableModel, threshold: float = 0.0, floor: float = -np.inf, codes: np.ndarray | None = None, **options: object
) -> SparseRetriever:
    codes = np.arange(len(model.table)) if codes is None else codes
    return SparseRetriever(model, build_index(model, codes, floor, block_codes=5), threshold, **options)


def some_queries(n_rows: int, n_items: int = N_ITEMS, seed: int = 1) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.from_lists([rng.choice(n_items, rng.integers(0, 6), replace=False).tolist() for _ in range(n_rows)], n_items)


def colours(n_items: int) -> np.ndarray:
    """Two orthogonal colours, and a little of each item's own so that no two are alike."""
    vectors = np.random.default_rng(0).normal(scale=1e-3, size=(n_items, 4))
    vectors[np.arange(n_items), np.arange(n_items) % 2] += 1
    return vectors.astype(np.float32)
