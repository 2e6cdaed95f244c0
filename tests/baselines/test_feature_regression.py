from __future__ import annotations

import numpy as np
import pytest

from sparcode.baselines.feature_regression import FeatureRegression
from sparcode.data.interactions import Histories


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
