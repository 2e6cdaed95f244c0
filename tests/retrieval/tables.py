"""Retrievers over tables, and queries to put to them."""

from __future__ import annotations

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.retrieval.contract import Retrieved
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


def some_queries(n_rows: int, n_items: int = N_ITEMS, seed: int = 1, with_empty: bool = True) -> Histories:
    """At most `n_rows` queries; without the empty ones, whose zero vector ties everywhere, there are fewer."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice(n_items, rng.integers(0, 6), replace=False).tolist() for _ in range(n_rows)]
    return Histories.from_lists(rows if with_empty else [row for row in rows if row], n_items)


def assert_same(found: Retrieved, expected: Retrieved) -> None:
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def assert_row(item_ids: np.ndarray, scores: np.ndarray, ranked: list[tuple[float, int]]) -> None:
    """One row of a result is the start of `ranked`, pairs of negative score and item, and padding."""
    best = sorted(ranked)[: len(item_ids)]
    missing = len(item_ids) - len(best)
    assert item_ids.tolist() == [item for _, item in best] + [-1] * missing
    assert scores.tolist() == [-score for score, _ in best] + [-np.inf] * missing


def colours(n_items: int) -> np.ndarray:
    """Two orthogonal colours, and a little of each item's own so that no two are alike."""
    vectors = np.random.default_rng(0).normal(scale=1e-3, size=(n_items, 4))
    vectors[np.arange(n_items), np.arange(n_items) % 2] += 1
    return vectors.astype(np.float32)


def found_share(found: np.ndarray, best: np.ndarray) -> float:
    """Mean share of the best items (B, k) that were found."""
    return float(np.mean([np.isin(wanted, row).mean() for wanted, row in zip(best, found, strict=True)]))
