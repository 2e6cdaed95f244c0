"""Two models on the same users: who wins how often, and whether the mean difference is more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

RESAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
# Signs are all tried, not drawn, where there are at most so many users with a difference: the p-value is then exact.
EXACT_USERS: Final = 13
# Random numbers drawn at a time.
_BLOCK: Final = 4_000_000


class Paired(NamedTuple):
    """How a second model compares with a first one on the same users.

    Attributes
    ----------
    n_users, wins, ties, losses
        Users compared, and those with a higher, the same and a lower value under the second model.
    mean, low, high
        Mean difference, second less first, and its 95% bootstrap interval.
    p_value
        Of the sign-flip test, two-sided: how often a mean at least as far from 0 comes up if it is chance which model has which value.
    """

    n_users: int
    wins: int
    ties: int
    losses: int
    mean: float
    low: float
    high: float
    p_value: float


def user_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Second less first of the users that have both, (n,) float64; NaN in either leaves a user out.

    ValueError unless both are (B,) numbers of the same users in the same order.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"both models need one value for each of the same users; got shapes {first.shape} and {second.shape}")
    change = second - first
    return change[~np.isnan(change)]


def paired(first: np.ndarray, second: np.ndarray, seed: int = 0, n_resamples: int = RESAMPLES) -> Paired:
    """Compare two models user by user.

    The test flips the sign of every user's difference at random (Fisher's randomization test; Smucker et al., CIKM 2007, recommend it for
    retrieval). With at most `EXACT_USERS` users that differ, all flips are counted. The interval is the percentile bootstrap over users.

    Parameters
    ----------
    first, second
        (B,) float64, one value per user, NaN for a user who is left out.
    seed
        Of both kinds of resampling.
    n_resamples
        Of each kind; at least 100.

    Raises
    ------
    ValueError
        If the arrays are not of the same users, no user is left, or `n_resamples` is below 100.
    """
    if n_resamples < 100:
        raise ValueError(f"n_resamples must be at least 100, got {n_resamples}")
    change = user_differences(first, second)
    n_users = len(change)
    if n_users == 0:
        raise ValueError("there is no user with a value under both models")
    # Differences of shares, such as 0.3 - 0.2 and 0.2 - 0.1, are equal but for rounding.
    change = np.round(change, 12)
    rng, tail = np.random.default_rng(seed), (1 - CONFIDENCE) / 2
    low, high = np.quantile(_bootstrap_means(change, rng, n_resamples), [tail, 1 - tail])
    wins, losses = int((change > 0).sum()), int((change < 0).sum())
    p_value = _sign_flip(change, rng, n_resamples)
    return Paired(n_users, wins, n_users - wins - losses, losses, float(change.mean()), float(low), float(high), p_value)


def most_error(mean: float, n_users: int) -> float:
    """The most that the standard error of a mean over so many users (at least 1) can be, of values between 0 and 1 such as recall.

    For where single values are not known: their variance is at most ``mean (1 - mean)``.
    """
    return math.sqrt(max(0.0, mean * (1 - mean)) / n_users)


def _sign_flip(change: np.ndarray, rng: np.random.Generator, n_resamples: int) -> float:
    sizes, counts = np.unique(np.abs(change[change != 0]), return_counts=True)
    n_differing = int(counts.sum())
    if n_differing == 0:
        return 1.0
    # Sums that are equal but for rounding count as equal.
    reached = abs(float(change.sum())) - 1e-9 * float(sizes @ counts)
    if n_differing <= EXACT_USERS:
        signs = 1 - 2 * ((np.arange(2**n_differing)[:, None] >> np.arange(n_differing)) & 1)
        return float((np.abs(signs @ np.repeat(sizes, counts)) >= reached).mean())
    # Of the users whose differences are alike only the number with a plus matters, a binomial one.
    sums = _blocks(lambda n: (2 * rng.binomial(counts, 0.5, size=(n, len(counts))) - counts) @ sizes, n_resamples, len(counts))
    # The differences as they are count as one of the flips, so that p is never 0 (Phipson and Smyth, 2010).
    return float((1 + (np.abs(sums) >= reached).sum()) / (1 + n_resamples))


def _bootstrap_means(change: np.ndarray, rng: np.random.Generator, n_resamples: int) -> np.ndarray:
    values, counts = np.unique(change, return_counts=True)
    shares = counts / len(change)
    return _blocks(lambda n: rng.multinomial(len(change), shares, size=n) @ values, n_resamples, len(values)) / len(change)


def _blocks(draw: Callable[[int], np.ndarray], n_resamples: int, width: int) -> np.ndarray:
    """(n_resamples,) float64 of `draw`, which takes a number of rows `width` wide; in blocks, so that memory stays bounded."""
    rows = max(1, _BLOCK // width)
    return np.concatenate([draw(min(rows, n_resamples - start)) for start in range(0, n_resamples, rows)])
