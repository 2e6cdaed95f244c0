"""Items of a kind stand side by side, whatever the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.item_order import similar_order
from tests.fakes import TableModel


def index_of(table: np.ndarray) -> InvertedIndex:
    return build_index(TableModel(np.float32(table)), np.arange(len(table)), -np.inf, 3)


def order_of(index: InvertedIndex, threshold: float, block: int) -> np.ndarray:
    return similar_order(index, index.threshold_ends(threshold), threshold, block)


def test_blocks_hold_items_of_one_kind() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(8), 32)
    table = rng.normal(size=(20, 8))[:, kinds] + rng.normal(scale=0.05, size=(20, 256))
    shuffled = rng.permutation(256)
    blocks = kinds[shuffled][order_of(index_of(table[:, shuffled]), -10.0, 32)].reshape(8, 32)
    # Where a kind is cut in two depends on the last digits of a projection. By chance a quarter of a block is of its most frequent kind.
    assert np.mean([np.bincount(block).max() / 32 for block in blocks]) > 0.8


def test_scores_below_the_threshold_and_beyond_an_end_play_no_part() -> None:
    table = np.random.default_rng(0).normal(size=(6, 90))
    index, cut = index_of(table), index_of(np.where(table > 0.5, table, -np.inf))
    np.testing.assert_array_equal(order_of(index, 0.5, 8), order_of(cut, 0.5, 8))
    one_each = similar_order(index, index.indptr[:-1] + 1, -10.0, 8)
    heads = np.where(table == table.max(axis=1, keepdims=True), table, -np.inf)
    np.testing.assert_array_equal(one_each, order_of(index_of(heads), -10.0, 8))


@given(seed=st.integers(0, 2**32 - 1), n_items=st.integers(0, 70), block=st.integers(1, 80), scale=st.sampled_from([0.0, 1e-45, 1.0, 3e38]))
def test_any_scores_give_an_order_of_all_items_and_the_same_again(seed: int, n_items: int, block: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    table = np.float32(rng.uniform(-1, 1, size=(3, n_items)) * scale)
    table[rng.random(table.shape) < 0.3] = -np.inf
    index = index_of(table)
    order = order_of(index, -3.1e38, block)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(n_items))
    np.testing.assert_array_equal(order, order_of(index, -3.1e38, block))


@pytest.mark.parametrize("n_lists", [0, 3])
def test_an_index_without_postings_has_an_order(n_lists: int) -> None:
    assert sorted(order_of(index_of(np.full((n_lists, 20), -np.inf)), 0.0, 4).tolist()) == list(range(20))
