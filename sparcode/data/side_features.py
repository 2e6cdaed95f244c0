"""Side features of items: genres as columns of zeros and ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

# A tag that only one item has says nothing about another; more columns than this are free text, not genres.
LEAST_ITEMS = 2
MAX_FEATURES = 512


def genre_features(items: pd.DataFrame) -> np.ndarray | None:
    """Features of an item table.

    Parameters
    ----------
    items
        One row per item; ``genres`` holds '|'-separated text, empty where unknown.

    Returns
    -------
    np.ndarray or None
        (I, G) float32: 1 / sqrt(number of the item's genres) where it has the genre, else 0, so that rows have length 1 (or 0). Genres in
        alphabetical order; of more than 512 the most frequent. None without the column, or where no genre is shared by two items.
    """
    if "genres" not in items.columns:
        return None
    columns = items["genres"].fillna("").astype(str).str.get_dummies(sep="|")
    counts = columns.sum()
    kept = counts[counts >= LEAST_ITEMS].nlargest(MAX_FEATURES).index.sort_values()
    if len(kept) == 0:
        return None
    values = columns[kept].to_numpy(np.float32)
    return values / np.sqrt(np.maximum(values.sum(axis=1, keepdims=True), 1))
