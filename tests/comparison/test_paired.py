from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sparcode.comparison.paired import EXACT_USERS, most_error, paired, user_differences

NAN = math.nan


def test_users_won_tied_and_lost_are_counted_and_those_without_a_value_left_out() -> None:
    first, second = np.array([0.1, 0.5, 0.4, NAN, 0.2, 0.3]), np.array([0.2, 0.5, 0.1, 0.9, NAN, 0.6])
    found = paired(first, second)
    assert (found.n_users, found.wins, found.ties, found.losses) == (4, 2, 1, 1)
    assert found.mean == pytest.approx(0.1 / 4)
    np.testing.assert_allclose(user_differences(first, second), [0.1, 0.0, -0.3, 0.3])


@pytest.mark.parametrize("n_users", [1, 3, 5, EXACT_USERS])
def test_if_every_user_gains_alike_only_two_of_all_flips_reach_the_mean(n_users: int) -> None:
    # Steps of 0.1 that differ by rounding alone.
    first = 0.1 * np.arange(n_users)
    found = paired(first, first + 0.1)
    assert found.p_value == 2 / 2**n_users
    assert (found.wins, found.losses) == (n_users, 0)
    np.testing.assert_allclose([found.mean, found.low, found.high], 0.1)


def test_equal_models_are_all_ties() -> None:
    values = np.random.default_rng(0).random(50)
    found = paired(values, values)
    assert (found.wins, found.ties, found.losses, found.mean, found.low, found.high, found.p_value) == (0, 50, 0, 0.0, 0.0, 0.0, 1.0)


def test_gains_that_losses_cancel_are_chance() -> None:
    change = np.tile([0.2, -0.2], 100)
    found = paired(np.zeros(200), change)
    assert (found.mean, found.p_value, found.wins, found.losses) == (0.0, 1.0, 100, 100)
    assert found.low < 0 < found.high


def test_a_planted_gain_has_the_smallest_p_and_an_interval_around_it() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(300)
    found = paired(first, first + 0.05 + 0.02 * rng.standard_normal(300), n_resamples=1_000)
    assert found.p_value == 1 / 1_001
    assert found.low < 0.05 < found.high
    assert found.low > 0.04
    assert found.high < 0.06


@pytest.mark.parametrize("n_users", [10, 60])
def test_p_and_interval_are_those_of_scipy(n_users: int) -> None:
    rng = np.random.default_rng(n_users)
    first, second = rng.random(n_users).round(1), rng.random(n_users).round(1) + 0.05
    found = paired(first, second)
    arguments = {"permutation_type": "samples", "n_resamples": 9_999, "rng": np.random.default_rng(5)}
    known = stats.permutation_test((second, first), lambda x, y, axis: np.mean(x - y, axis=axis), vectorized=True, **arguments)
    # Two standard errors of 10,000 draws on either side; exact for ten users.
    assert found.p_value == pytest.approx(known.pvalue, abs=0.0 if n_users <= EXACT_USERS else 0.02)
    bounds = stats.bootstrap((second - first,), np.mean, method="percentile", n_resamples=9_999, rng=np.random.default_rng(6))
    np.testing.assert_allclose([found.low, found.high], bounds.confidence_interval, atol=0.01)


def test_the_seed_decides_and_another_one_hardly_matters() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(40), rng.random(40)
    assert paired(first, second, seed=3) == paired(first, second, seed=3)
    one, other = paired(first, second, seed=3), paired(first, second, seed=4)
    assert one != other
    assert one.p_value == pytest.approx(other.p_value, abs=0.03)


def test_the_models_exchanged_give_the_mirror_image() -> None:
    first, second = np.random.default_rng(3).random((2, 9)).round(1)
    there, back = paired(first, second), paired(second, first)
    assert (there.wins, there.losses, there.mean, there.p_value) == (back.losses, back.wins, -back.mean, back.p_value)


@pytest.mark.parametrize(
    ("first", "second", "n_resamples", "message"),
    [
        (np.zeros(3), np.zeros(4), 1_000, r"same users; got shapes \(3,\) and \(4,\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), 1_000, "one value for each"),
        (np.array([NAN]), np.array([1.0]), 1_000, "no user with a value under both models"),
        (np.zeros(0), np.zeros(0), 1_000, "no user"),
        (np.zeros(2), np.ones(2), 99, "n_resamples must be at least 100, got 99"),
    ],
)
def test_what_cannot_be_compared_is_refused(first: np.ndarray, second: np.ndarray, n_resamples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired(first, second, n_resamples=n_resamples)


def test_no_standard_error_of_shares_is_larger_than_the_most_that_their_mean_allows() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.random(50), (rng.random(50) < 0.3).astype(float), np.zeros(50), np.ones(50)):
        error = values.std() / np.sqrt(len(values))
        assert error <= most_error(values.mean(), len(values)) + 1e-12
    # All or nothing is the widest.
    assert most_error(0.5, 100) == 0.05
