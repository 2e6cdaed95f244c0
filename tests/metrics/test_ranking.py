from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.data.interactions import Histories
from sparcode.metrics.ranking import ndcg_at_k, precision_at_k, recall_at_k


def naive(items: list[int], targets: set[int], k: int) -> tuple[float, float, float]:
    if not targets:
        return math.nan, math.nan, math.nan
    hits = [item in targets for item in items[:k]]
    gain = sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits) if hit)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, len(targets))))
    return sum(hits) / len(targets), sum(hits) / k, gain / ideal


@st.composite
def results(draw: st.DrawFn) -> tuple[np.ndarray, list[list[int]], int, int]:
    n_items = draw(st.integers(1, 12))
    width = draw(st.integers(1, 15))
    n_rows = draw(st.integers(0, 5))
    rows, targets = [], []
    for _ in range(n_rows):
        found = draw(st.permutations(range(n_items)))[: draw(st.integers(0, min(width, n_items)))]
        rows.append(list(found) + [-1] * (width - len(found)))
        targets.append(draw(st.lists(st.integers(0, n_items - 1), max_size=9)))
    return np.array(rows, dtype=np.int32).reshape(n_rows, width), targets, n_items, draw(st.integers(1, width))


@given(results())
def test_they_equal_plain_loops(result: tuple[np.ndarray, list[list[int]], int, int]) -> None:
    item_ids, rows, n_items, k = result
    targets = Histories.from_lists(rows, n_items)
    expected = np.array([naive(items.tolist(), set(row), k) for items, row in zip(item_ids, rows, strict=True)]).reshape(-1, 3).T
    measured = [recall_at_k(item_ids, targets, k), precision_at_k(item_ids, targets, k), ndcg_at_k(item_ids, targets, k)]
    np.testing.assert_allclose(measured, expected, rtol=1e-12)


def test_recall_divides_by_all_targets() -> None:
    targets = Histories.from_lists([[0, 1, 2, 3]], 9)
    assert recall_at_k(np.array([[0, 1]]), targets, 2).tolist() == [0.5]
    assert ndcg_at_k(np.array([[0, 1]]), targets, 2).tolist() == [1.0]


def test_padding_is_no_hit_on_the_row_above() -> None:
    targets = Histories.from_lists([[8], [3]], 9)
    assert recall_at_k(np.array([[-1], [-1]]), targets, 1).tolist() == [0, 0]


def test_precision_divides_by_k_even_when_fewer_came_back() -> None:
    assert precision_at_k(np.array([[4, -1, -1, -1]]), Histories.from_lists([[4]], 9), 4).tolist() == [0.25]


@pytest.mark.parametrize("metric", [recall_at_k, precision_at_k, ndcg_at_k])
def test_bad_input_is_refused(metric: object) -> None:
    targets = Histories.from_lists([[1], [2]], 9)
    with pytest.raises(ValueError, match="a row per query; got shape"):
        metric(np.zeros((3, 2), dtype=int), targets, 1)
    with pytest.raises(ValueError, match="dtype float64"):
        metric(np.zeros((2, 2)), targets, 1)
    with pytest.raises(ValueError, match=r"\[-1, 9\); got 0 to 9"):
        metric(np.array([[0], [9]]), targets, 1)
    with pytest.raises(ValueError, match="at most 2, the items retrieved per query; got 3"):
        metric(np.zeros((2, 2), dtype=int), targets, 3)
    with pytest.raises(ValueError, match="k must be a whole number of at least 1; got 0"):
        metric(np.zeros((2, 2), dtype=int), targets, 0)
