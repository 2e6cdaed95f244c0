from __future__ import annotations

import numpy as np
import pandas as pd

from sparcode.data.side_features import genre_features


def test_genres_become_columns_of_unit_rows() -> None:
    table = pd.DataFrame({"title": list("abcd"), "genres": ["Drama|War", "Drama", None, "War|Alone"]})
    expected = np.array([[0.5**0.5, 0.5**0.5], [1, 0], [0, 0], [0, 1]], dtype=np.float32)
    np.testing.assert_allclose(genre_features(table), expected, rtol=1e-6)


def test_no_genres_no_features() -> None:
    assert genre_features(pd.DataFrame({"title": ["a"]})) is None
    assert genre_features(pd.DataFrame({"title": ["a", "b"], "genres": ["Drama", "War"]})) is None
