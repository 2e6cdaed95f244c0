"""Gains of codes and items: their gradient against a naive loss, what they learn on planted data, and when they are left out."""

from __future__ import annotations

import numpy as np
import pytest

from sparcode.data.interactions import Histories
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.training import pair_gains
from sparcode.training.epoch_record import never_stop
from sparcode.training.pair_gains import Gains, _Training, learn_gains, probe_gains

I = 12
SHAPE = PairShape(per_code=I)


def some_histories(n: int = 40) -> Histories:
    rng = np.random.default_rng(0)
    return Histories.from_lists([rng.choice(I, rng.integers(1, 6), replace=False).tolist() for _ in range(n)], I)


def without(histories: Histories, row: int) -> Histories:
    """The histories, one of them empty; every other counts as before."""
    return Histories.from_lists([[] if one == row else histories[one].tolist() for one in range(len(histories))], I)


def naive_loss(histories: Histories, rows: np.ndarray, gains: Gains, gamma: float) -> float:
    """Sum of the cross entropies, with counts made anew for each history and exponents of all of them."""
    total, degrees = 0.0, np.bincount(histories.items, minlength=I)
    for row in rows:
        history = histories[row]
        both = [with_and_without_own(histories, row, history, degrees, is_own) for is_own in (False, True)]
        scores = np.zeros(I)
        for item in range(I):
            f = both[int(item in history)]
            scores[item] = sum(np.exp(gains.codes[code]) * f[code, item] for code in history if code != item) * np.exp(gains.items[item])
        met = scores > 0
        targets = [item for item in history if met[item]]
        if targets:
            logits = gamma * np.log(scores[met])
            log_shares = dict(zip(np.flatnonzero(met), logits - np.log(np.exp(logits).sum()), strict=True))
            total -= np.mean([log_shares[item] for item in targets])
    return total


def with_and_without_own(histories: Histories, row: int, history: np.ndarray, degrees: np.ndarray, without_own: bool) -> np.ndarray:
    counts, together = np.zeros((I, I)), np.zeros((I, I))
    for user in range(len(histories)):
        if user == row and without_own:
            continue
        held = histories[user]
        for code in held:
            counts[code, held] += len(held) ** -SHAPE.query
            together[code, held] += 1
    powers = [np.where(degrees > 0, np.maximum(degrees, 1.0) ** -exponent, 0) for exponent in (SHAPE.code, SHAPE.item)]
    return counts * powers[0][:, None] * powers[1] * together / (together + SHAPE.shrink)


def test_the_gradient_is_that_of_a_naive_loss_without_the_historys_own_share() -> None:
    histories, rng = some_histories(), np.random.default_rng(1)
    trained = _Training(histories, SHAPE, seed=0)
    values = np.append(rng.normal(0, 0.3, 2 * I), 1.3)
    rows, found = np.flatnonzero(histories.lengths > 1), np.zeros(2 * I + 1)
    pair_gains._gradient(rows, trained._holds.indptr, trained._holds.indices, *trained._arrays, *trained._own, values, found)

    def loss(moved: np.ndarray) -> float:
        return naive_loss(histories, rows, Gains(moved[:I], moved[I:-1]), moved[-1])

    step = 1e-5
    for place in range(2 * I + 1):
        ahead, behind = values.copy(), values.copy()
        ahead[place] += step
        behind[place] -= step
        assert found[place] == pytest.approx((loss(ahead) - loss(behind)) / (2 * step), rel=2e-3, abs=2e-4)


def test_values_with_factors_are_those_without_times_them() -> None:
    use, rng = CodeUse.of_items(some_histories()), np.random.default_rng(2)
    gains = Gains(*rng.normal(0, 0.5, (2, I)).astype(np.float32))
    factors = gains.factors(use.codes)
    plain, scaled = use.values(SHAPE), use.values(SHAPE, factors=factors)
    np.testing.assert_allclose(scaled.toarray(), plain.toarray() * factors[0][:, None] * factors[1], rtol=1e-5)
    some = np.array([1, 3])
    np.testing.assert_array_equal(use.values(SHAPE, some, factors).toarray(), scaled.toarray()[some])


def noisy() -> Histories:
    """Items 2 n and 2 n + 1 belong together, for n in 1, 2; everybody holds items 8 to 11 at random, which say nothing."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(400):
        first = 2 * int(rng.integers(1, 3))
        rows.append([first, first + 1, *rng.choice([8, 9, 10, 11], 2, replace=False).tolist()])
    return Histories.from_lists(rows, I)


def test_codes_that_say_nothing_lose_weight() -> None:
    gains, *_ = learn_gains(noisy(), SHAPE, lambda tried: np.array([-float(tried.codes[8:].mean())]), 0, never_stop)
    assert gains.codes[8:].max() < gains.codes[2:6].min()


def test_the_same_seed_gives_the_same_gains_and_the_best_epoch_is_kept() -> None:
    recalls = iter([0.1, 0.3, 0.2, 0.2, 0.9])
    seen: list[Gains] = []

    def reached(tried: Gains) -> np.ndarray:
        seen.append(tried)
        return np.array([next(recalls)])

    gains, best, start = learn_gains(noisy(), SHAPE, reached, 0, never_stop)
    # Two epochs in a row were no better.
    assert len(seen) == 4
    assert (best, start) == ([0.3], [0.1])
    np.testing.assert_array_equal(gains.codes, seen[1].codes)
    again, *_ = learn_gains(noisy(), SHAPE, lambda tried: np.array([float(np.array_equal(tried.codes, gains.codes))]), 0, never_stop)
    np.testing.assert_array_equal(again.items, gains.items)


@pytest.mark.parametrize("reason", ["stop", "pairs", "short"])
def test_it_stays_at_the_start_where_it_is_stopped_or_histories_hold_too_many_pairs(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason == "pairs":
        monkeypatch.setattr(pair_gains, "MOST_PAIRS", 1)
    histories = Histories.from_lists([[0], [1], []], I) if reason == "short" else noisy()
    gains, *_ = learn_gains(histories, SHAPE, lambda tried: np.array([float(tried.codes.any())]), 0, lambda: reason == "stop")
    assert (probe_gains(histories, SHAPE, 0) > 0) == (reason == "stop")
    assert not gains.codes.any()
    assert not gains.items.any()
