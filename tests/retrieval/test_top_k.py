from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.data.interactions import Histories
from sparcode.retrieval.top_k import top_k
from tests.retrieval.tables import assert_row


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(0, 4), st.integers(0, 60)),
    spread=st.sampled_from([0, 1, 5, 10_000]),
    k=st.integers(1, 70),
)
def test_it_equals_sorting_everything(seed: int, shape: tuple[int, int], spread: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-spread, spread + 1, size=shape).astype(np.float32)
    scores[rng.random(shape) < 0.2] = -np.inf
    seen = [rng.integers(shape[1], size=rng.integers(0, 9)).tolist() if shape[1] else [] for _ in range(shape[0])]
    item_ids, values = top_k(scores, k, Histories.from_lists(seen, shape[1]))
    for row in range(shape[0]):
        ranked = [(-score, item) for item, score in enumerate(scores[row].tolist()) if score > -np.inf and item not in seen[row]]
        assert_row(item_ids[row], values[row], ranked)


def test_ties_go_to_the_lower_item_and_negative_zero_ties_with_zero() -> None:
    assert top_k(np.zeros((1, 100), dtype=np.float32), 4).item_ids.tolist() == [[0, 1, 2, 3]]
    assert top_k(np.array([[-0.0, 0.0, -0.0]], dtype=np.float32), 3).item_ids.tolist() == [[0, 1, 2]]


def test_scores_are_left_alone() -> None:
    scores = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    scores.flags.writeable = False
    assert top_k(scores, 2, Histories.from_lists([[2]], 3)).item_ids.tolist() == [[1, 0]]
    assert scores.tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("at", [0, 3])
def test_nan_is_refused_even_where_it_would_lose(at: int) -> None:
    scores = np.array([[9.0, 8.0, 7.0, 6.0]] * 2, dtype=np.float32)
    scores[1, at] = np.nan
    with pytest.raises(ValueError, match="row 1 holds NaN"):
        top_k(scores, 1)


@pytest.mark.parametrize("scores", [np.zeros(3, dtype=np.float32), np.zeros((1, 3), dtype=int)])
def test_scores_must_be_a_float_matrix(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(B, I\) array of floats"):
        top_k(scores, 1)


def test_seen_must_fit() -> None:
    scores = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="one row per query, 2; got 1"):
        top_k(scores, 1, Histories.from_lists([[0]], 3))
    with pytest.raises(ValueError, match="catalogue of 4 items; the scores are over 3"):
        top_k(scores, 1, Histories.from_lists([[0], [1]], 4))
