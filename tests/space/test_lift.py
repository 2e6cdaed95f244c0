from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, hypergeom

from sparcode.space.lift import Labels, chance_of_overlap, exact_interval

TEXTS = ["Drama|War", "Drama", "", "Comedy", "War|Drama", "Comedy|Comedy", "Drama", "Comedy"]


@pytest.mark.parametrize("n", [1, 2, 7, 50])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_is_the_exact_one(n: int, confidence: float) -> None:
    for count in range(n + 1):
        expected = binomtest(count, n).proportion_ci(confidence, method="exact")
        np.testing.assert_allclose(exact_interval(count, n, confidence), (expected.low, expected.high), atol=1e-9)


@pytest.mark.parametrize(("count", "n", "confidence"), [(-1, 3, 0.95), (4, 3, 0.95), (0, 0, 0.95), (1, 3, 1.0)])
def test_what_is_no_share_is_refused(count: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="count must lie in"):
        exact_interval(count, n, confidence)


def test_the_chance_of_an_overlap_is_that_of_independent_sets() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 41, (2, 30))
    both = np.minimum(np.minimum(first, second), rng.integers(0, 20, 30))
    both = np.maximum(both, first + second - 40)
    np.testing.assert_allclose(chance_of_overlap(both, first, second, 40), hypergeom.sf(both - 1, 40, first, second), rtol=1e-9)


@pytest.mark.parametrize("items", [[0, 1, 4], [2], [3, 5, 7, 0], list(range(8))])
def test_lifts_are_those_counted_one_by_one(items: list[int]) -> None:
    sets = [set(filter(None, text.split("|"))) for text in TEXTS]
    found = {one.label: one for one in Labels(TEXTS).lifts(np.array(items))}
    assert sorted(found) == ["Comedy", "Drama", "War"]
    for label, one in found.items():
        count, whole = sum(label in sets[item] for item in items), sum(label in words for words in sets)
        assert (one.count, one.n, one.in_catalogue, one.n_items) == (count, len(items), whole, 8)
        assert one.lift == pytest.approx((count / len(items)) / (whole / 8))
        # Three labels are tried.
        low, high = exact_interval(count, len(items), 1 - 0.05 / 3)
        assert (one.low, one.high) == pytest.approx((low * 8 / whole, high * 8 / whole))
        assert one.low <= one.lift <= one.high or math.isclose(one.low, one.lift) or math.isclose(one.high, one.lift)


def test_a_planted_genre_is_over_represented_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    planted = np.arange(400) < 50
    texts = [f"{'Noir|' if at else ''}{'Odd' if odd else 'Even'}" for at, odd in zip(planted, rng.random(400) < 0.5, strict=True)]
    labels = Labels(texts)
    lifts = labels.lifts(np.arange(40))
    assert (lifts[0].label, lifts[0].verdict, lifts[0].count) == ("Noir", "more", 40)
    assert lifts[0].lift == pytest.approx(8)


def test_of_many_genres_chance_rarely_makes_any_stand_out() -> None:
    rng = np.random.default_rng(0)
    labels = Labels([f"G{genre}" for genre in rng.integers(0, 18, 1700)])
    stands_out = sum(any(one.verdict == "more" for one in labels.lifts(rng.choice(1700, 50, replace=False))) for _ in range(200))
    assert stands_out <= 0.05 * 200


def test_a_genre_that_none_of_many_has_is_under_represented() -> None:
    found = {one.label: one for one in Labels(["A"] * 50 + ["B"] * 50).lifts(np.arange(50))}
    assert found["B"].verdict == "less"
    assert found["A"].verdict == "more"


def test_without_labels_or_items_there_are_no_lifts() -> None:
    assert Labels(["", " | "]).names == []
    assert Labels(["", ""]).lifts(np.array([0])) == []
    assert Labels(TEXTS).lifts(np.zeros(0, np.int64)) == []
