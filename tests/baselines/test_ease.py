from __future__ import annotations

import numpy as np
import pytest

from sparcode.baselines.ease import EASE, Popularity
from sparcode.data.interactions import Histories

HISTORIES = Histories.from_lists([[2, 0, 1], [1, 2], [3, 2], [4, 3, 0], []], 6)


def multi_hot(histories: Histories) -> np.ndarray:
    dense = np.zeros((len(histories), histories.n_items))
    dense[histories.rows, histories.items] = 1
    return dense


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_ease_solves_the_constrained_regression(precision: str) -> None:
    """Column j of B is the ridge regression of item j on all other items."""
    x, l2 = multi_hot(HISTORIES), 2.0
    expected = np.zeros((6, 6))
    for item in range(6):
        others = np.delete(np.arange(6), item)
        gram = x[:, others].T @ x[:, others] + l2 * np.eye(5)
        expected[others, item] = np.linalg.solve(gram, x[:, others].T @ x[:, item])
    ease = EASE(l2, precision).fit(HISTORIES)
    np.testing.assert_allclose(ease.weights_, expected, atol=1e-6)
    np.testing.assert_allclose(ease.score(HISTORIES), x @ expected, atol=1e-6)
    assert ease.score(HISTORIES).dtype == np.float32
    assert ease.size_bytes() == {"weights": 6 * 6 * 4}


@pytest.mark.parametrize("model", [EASE(1.0), Popularity()])
def test_fitting_and_scoring_leave_the_order_of_a_history(model: EASE | Popularity) -> None:
    histories = Histories.from_lists([[5, 2, 0], [4, 1]], 6)
    model.fit(histories).score(histories)
    assert histories.items.tolist() == [5, 2, 0, 4, 1]


@pytest.mark.parametrize("model", [EASE(1.0), Popularity()])
def test_repeats_count_once(model: EASE | Popularity) -> None:
    once = model.fit(HISTORIES).score(HISTORIES)
    repeated = Histories.from_lists([[2, 0, 1, 2, 2], [1, 2], [3, 2, 3], [4, 3, 0], []], 6)
    np.testing.assert_array_equal(model.fit(repeated).score(repeated), once)


def test_an_empty_history_scores_zero_with_ease() -> None:
    assert EASE(1.0).fit(HISTORIES).score(Histories.from_lists([[]], 6)).tolist() == [[0] * 6]


def test_popularity_counts_users() -> None:
    popularity = Popularity().fit(HISTORIES)
    assert popularity.score(Histories.from_lists([[], [2]], 6)).tolist() == [[2, 2, 3, 2, 1, 0]] * 2
    assert popularity.score(HISTORIES).dtype == np.float32
    assert (popularity.n_items, popularity.size_bytes()) == (6, {"counts": 24})


@pytest.mark.parametrize("l2", [0.0, -1.0, np.nan, np.inf])
def test_ease_needs_a_penalty(l2: float) -> None:
    with pytest.raises(ValueError, match="l2 must be a number above 0"):
        EASE(l2).fit(HISTORIES)


def test_ease_names_a_penalty_too_small_for_its_precision() -> None:
    twins = Histories.from_lists([list(range(6))] * 1000, 6)
    with pytest.raises(ValueError, match=r"l2=1e-06 is too small to invert co-occurrence counts in float32"):
        EASE(1e-6).fit(twins)
    assert np.isfinite(EASE(1e-6, "float64").fit(twins).weights_).all()
    with pytest.raises(ValueError, match="'float32' or 'float64'; got 'half'"):
        EASE(1.0, "half").fit(twins)


def test_ease_refuses_what_would_not_fit_in_memory() -> None:
    with pytest.raises(ValueError, match=r"100000 items takes a matrix of 37\.3 GiB; max_bytes allows 4\.0"):
        EASE().fit(Histories.from_lists([[0]], 100_000))
    with pytest.raises(ValueError, match="at least one item"):
        EASE().fit(Histories.from_lists([[]], 0))


@pytest.mark.parametrize("model", [EASE(1.0), Popularity()])
def test_another_catalogue_is_refused(model: EASE | Popularity) -> None:
    with pytest.raises(ValueError, match="catalogue of 7 items; fitted on 6"):
        model.fit(HISTORIES).score(Histories.from_lists([[0]], 7))
