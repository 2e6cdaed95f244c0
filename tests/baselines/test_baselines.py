from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.baselines import cooccurrence as cooccurrence_module
from sparcode.baselines.cooccurrence import Cooccurrence, Exponents
from sparcode.baselines.ease import EASE
from sparcode.baselines.feature_regression import FeatureRegression
from sparcode.baselines.history_baseline import HistoryBaseline
from sparcode.baselines.popularity import Popularity
from sparcode.data.interactions import Histories
from tests.tiny import tiny_split

EXPONENTS = Exponents(0.6, 0.25, 0.7)
ANY = pytest.mark.parametrize("model", [EASE(1.0), Popularity(), Cooccurrence(EXPONENTS)], ids=lambda model: type(model).__name__)
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


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_weights_of_ease_lie_row_by_row_for_the_teacher(precision: str) -> None:
    assert EASE(1.0, precision).fit(HISTORIES).weights_.flags.c_contiguous


@ANY
def test_fitting_and_scoring_leave_the_order_of_a_history(model: HistoryBaseline) -> None:
    histories = Histories.from_lists([[5, 2, 0], [4, 1]], 6)
    model.fit(histories).score(histories)
    assert histories.items.tolist() == [5, 2, 0, 4, 1]


@ANY
def test_repeats_count_once(model: HistoryBaseline) -> None:
    once = model.fit(HISTORIES).score(HISTORIES)
    repeated = Histories.from_lists([[2, 0, 1, 2, 2], [1, 2], [3, 2, 3], [4, 3, 0], []], 6)
    np.testing.assert_array_equal(model.fit(repeated).score(repeated), once)


def test_ease_is_the_same_for_any_number_of_threads() -> None:
    rng, threads, found = np.random.default_rng(0), torch.get_num_threads(), []
    histories = Histories.from_lists([rng.choice(200, 20, replace=False).tolist() for _ in range(300)], 200)
    try:
        for n_threads in (1, 2, 4):
            torch.set_num_threads(n_threads)
            found.append(EASE(l2=10.0).fit(histories).weights_)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("model", [EASE(1.0), Cooccurrence(EXPONENTS)])
def test_an_empty_history_scores_zero(model: HistoryBaseline) -> None:
    assert model.fit(HISTORIES).score(Histories.from_lists([[]], 6)).tolist() == [[0] * 6]


@ANY
def test_a_single_query_scores_as_in_a_batch(model: HistoryBaseline) -> None:
    model.fit(HISTORIES)
    singles = [model.score(HISTORIES.take(np.array([row])))[0] for row in range(len(HISTORIES))]
    np.testing.assert_allclose(np.stack(singles), model.score(HISTORIES), rtol=1e-6)


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


def naive_cooccurrence(histories: Histories, queries: Histories, exponents: Exponents) -> np.ndarray:
    a, b, c = exponents
    users = [set(histories.items[histories.rows == row].tolist()) for row in range(len(histories))]
    degrees = [sum(item in user for user in users) for item in range(histories.n_items)]
    scores = np.zeros((len(queries), histories.n_items))
    for row, item in zip(queries.rows, queries.items, strict=True):
        for other in range(histories.n_items):
            for user in users:
                if other != item and {int(item), other} <= user:
                    scores[row, other] += len(user) ** -c * degrees[item] ** -a * degrees[other] ** -b
    return scores


@pytest.mark.parametrize("block_terms", [1, 5, 1 << 22])
@pytest.mark.parametrize("exponents", [EXPONENTS, Exponents(0.0, 1.0, 0.0), Exponents(1.0, 0.0, 1.0)])
def test_cooccurrence_is_the_sum_of_its_formula(exponents: Exponents, block_terms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence_module, "_BLOCK_TERMS", block_terms)
    rng = np.random.default_rng(0)
    histories, queries = (Histories.from_lists([rng.choice(11, n, replace=False).tolist() for n in (4, 1, 6, 3, 5)], 12) for _ in range(2))
    model = Cooccurrence(exponents).fit(histories)
    np.testing.assert_allclose(model.score(queries), naive_cooccurrence(histories, queries, exponents), rtol=1e-5)
    assert model.score(queries).dtype == np.float32
    other = model.with_discounts(0.3, 0.9)
    np.testing.assert_array_equal(other.score(queries), Cooccurrence(Exponents(0.3, 0.9, exponents.c)).fit(histories).score(queries))
    parts = (model.counts_.data, model.counts_.indices, model.counts_.indptr)
    assert model.size_bytes() == {"counts": sum(part.nbytes for part in parts), "discounts": 2 * 12 * 4}


def test_cooccurrence_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"co-occurrence of 6 items takes more than 0\.0 GiB; max_bytes allows 0\.0"):
        Cooccurrence(EXPONENTS, max_bytes=10).fit(HISTORIES)
    with pytest.raises(ValueError, match="exponents must be finite numbers"):
        Cooccurrence(Exponents(0.5, np.nan, 1.0)).fit(HISTORIES)


@ANY
def test_an_empty_catalogue_is_refused(model: HistoryBaseline) -> None:
    with pytest.raises(ValueError, match="at least one item"):
        model.fit(Histories.from_lists([[]], 0))


@ANY
def test_another_catalogue_is_refused(model: HistoryBaseline) -> None:
    with pytest.raises(ValueError, match="catalogue of 7 items; fitted on 6"):
        model.fit(HISTORIES).score(Histories.from_lists([[0]], 7))


def users(features: np.ndarray, n_items: int) -> Histories:
    return Histories(np.zeros(len(features) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), n_items, features)


def test_a_linear_map_is_found_again() -> None:
    rng = np.random.default_rng(0)
    features, weights, songs = rng.normal(size=(400, 5)), rng.normal(size=(5, 3)), rng.normal(size=(7, 3)).astype(np.float32)
    known = users(features, 7)
    vectors = (features @ weights + 2).astype(np.float32)
    regression = FeatureRegression(l2=1e-6).fit(known, vectors, songs)
    np.testing.assert_allclose(regression.score(known), vectors @ songs.T, rtol=1e-3, atol=1e-3)
    assert regression.n_items == 7
    assert regression.size_bytes() == {"weights": 6 * 3 * 4, "item vectors": 7 * 3 * 4}


def test_what_does_not_fit_is_refused() -> None:
    known, songs = users(np.ones((3, 2)), 4), np.ones((4, 5), dtype=np.float32)
    with pytest.raises(ValueError, match=r"user vectors must be \(3, 5\); got \(3, 4\)"):
        FeatureRegression().fit(known, np.ones((3, 4), dtype=np.float32), songs)
    with pytest.raises(ValueError, match="l2 must be a number above 0"):
        FeatureRegression(0).fit(known, np.ones((3, 5), dtype=np.float32), songs)
    with pytest.raises(ValueError, match="users must have side features; got none"):
        FeatureRegression().fit(Histories.from_lists([[0]], 4), np.ones((1, 5), dtype=np.float32), songs)
    fitted = FeatureRegression().fit(known, np.ones((3, 5), dtype=np.float32), songs)
    with pytest.raises(ValueError, match="queries must have 2 side features; got 3"):
        fitted.score(users(np.ones((1, 3)), 4))


def test_counts_over_a_larger_catalogue_are_those_of_the_items_it_is_like() -> None:
    counted = Cooccurrence(Exponents(0.5, 0.25, 1.0)).fit(tiny_split().train)
    queries, alike = tiny_split().test.queries, np.array([*range(80), 3, 3, 7])
    larger = counted.over(alike)
    np.testing.assert_array_equal(larger.score(queries), counted.score(queries)[:, alike])
    whole = counted.counts_[alike][:, alike]
    a_count = counted.counts_.data.itemsize + counted.counts_.indices.itemsize
    assert counted.bytes_over(alike) == a_count * whole.nnz + 16 * len(alike)
    assert counted.bytes_over(np.arange(80)) == pytest.approx(sum(counted.size_bytes().values()), abs=8 * 80)
