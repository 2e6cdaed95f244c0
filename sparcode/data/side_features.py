"""Side features: genres of items; categories and numbers of users, encoded by what training users have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from sparcode.config import Config
from sparcode.data.limits import shown

# A value that only one item or user has says nothing about others; more values than this are free text, not categories.
LEAST_SHARED = 2
MAX_VALUES = 512
# Counts have long tails, so values are clipped at this many standard deviations from the mean.
MAX_SPREADS = 10.0


def genre_features(items: pd.DataFrame) -> np.ndarray | None:
    """(I, G) float32 features of a table with '|'-separated ``genres``: 1 / sqrt(its number of genres) where it has the genre, else 0.

    Genres are in alphabetical order; of more than 512 the most frequent. None without the column, or where no two items share a genre.
    """
    if "genres" not in items.columns:
        return None
    rows, codes, n_genres = _genres(items["genres"])
    counts = np.bincount(codes, minlength=n_genres)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MAX_VALUES])
    kept = kept[counts[kept] >= LEAST_SHARED]
    if len(kept) == 0:
        return None
    place = np.searchsorted(kept, codes)
    found = np.take(kept, place, mode="clip") == codes
    values = np.zeros((len(items), len(kept)), dtype=np.float32)
    values[rows[found], place[found]] = 1
    values /= np.sqrt(np.maximum(values.sum(axis=1, keepdims=True), 1))
    return values


def _genres(cells: pd.Series) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows and numbers, each (n,) int64, of the genres of all cells, a pair once; the number of genres, which are counted in order."""
    parts = pc.split_pattern(pa.array(cells.fillna("").astype(str).to_numpy(dtype=object), pa.string()), "|")
    names = pc.list_flatten(parts)
    named = pc.not_equal(names, "")
    coded = pc.dictionary_encode(names.filter(named))
    order = pc.sort_indices(coded.dictionary).to_numpy()
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    rows = pc.list_parent_indices(parts).filter(named).to_numpy()
    # Never a column for each genre: there may be as many as items.
    pairs = np.unique(rows * len(order) + ranks[coded.indices.to_numpy()])
    return *np.divmod(pairs, max(1, len(order))), len(order)


class CategoryColumn(Config):
    """A column of texts: one feature per value, 1 where the user has it."""

    name: str = Field(description="Name of the column.")
    values: tuple[str, ...] = Field(min_length=1, description="Values with a feature, in order.")

    @property
    def width(self) -> int:
        """Features made of the column."""
        return len(self.values)

    def encode(self, cells: pd.Series) -> np.ndarray:
        """(n, width) float32; a row of zeros where the cell is empty or has another value."""
        place = pd.Index(self.values).get_indexer(category_texts(cells))
        return (place[:, None] == np.arange(self.width)).astype(np.float32)


class NumberColumn(Config):
    """A column of numbers: one feature, in standard deviations from the mean."""

    name: str = Field(description="Name of the column.")
    mean: float = Field(description="Mean over training users.")
    spread: float = Field(gt=0, description="Standard deviation over training users.")

    @property
    def width(self) -> int:
        """Features made of the column."""
        return 1

    def encode(self, cells: pd.Series) -> np.ndarray:
        """(n, 1) float32, clipped at 10 standard deviations; 0, the mean, where the cell is empty."""
        return standardised(cells.to_numpy(np.float64, na_value=np.nan)[:, None], self.mean, self.spread)


class UserEncoding(Config):
    """How a table of users becomes features; stored with a run, so that new users are encoded as the training users were."""

    columns: tuple[CategoryColumn | NumberColumn, ...] = Field(min_length=1, description="Columns in the order of their features.")

    @classmethod
    def fit(cls, users: pd.DataFrame, train_users: np.ndarray) -> UserEncoding | None:
        """Learn values, means and spreads from the `train_users`, (n,) int64 rows; None where no column differs between them.

        Number columns become one feature each; all others are categories.
        """
        seen = users.iloc[train_users]
        columns = [column for name in users.columns if (column := _fit_column(str(name), seen[name])) is not None]
        return cls(columns=tuple(columns)) if columns else None

    @property
    def n_features(self) -> int:
        """F: features per user."""
        return sum(column.width for column in self.columns)

    def encode(self, users: pd.DataFrame) -> np.ndarray:
        """Features of a table with the columns of `fit`, (n, F) float32."""
        return np.concatenate([column.encode(users[column.name]) for column in self.columns], axis=1)

    def encode_described(self, known: Mapping[str, object]) -> np.ndarray:
        """Features of one user, (F,) float32, described by some of the columns; the rest counts as unknown.

        ValueError, with what is allowed, for an unknown column or a value that is no number or that no training user has.
        """
        columns = {column.name: column for column in self.columns}
        parts = {column.name: np.zeros(column.width, dtype=np.float32) for column in self.columns}
        for name, value in known.items():
            if name not in columns:
                raise ValueError(f"nothing is known of users as {shown(name)}; allowed are {_listed(columns)}")
            column = columns[name]
            parts[name] = column.encode(pd.Series([_checked(column, value)]))[0]
        return np.concatenate(list(parts.values()))


def standardised(values: np.ndarray, mean: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
    """``(values - mean) / spread`` within 10 spreads, float32; 0 where the value is NaN."""
    return np.nan_to_num(np.clip((values - mean) / spread, -MAX_SPREADS, MAX_SPREADS), nan=0.0).astype(np.float32)


def category_texts(cells: pd.Series) -> pd.Series:
    """Values of a category as text; None where the cell is empty."""
    return pd.Series([None if pd.isna(cell) else str(cell) for cell in cells], dtype=object)


def _fit_column(name: str, cells: pd.Series) -> CategoryColumn | NumberColumn | None:
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        values = cells.to_numpy(np.float64, na_value=np.nan)
        values = values[np.isfinite(values)]
        spread = float(values.std()) if len(values) else 0.0
        return NumberColumn(name=name, mean=float(values.mean()), spread=spread) if spread > 0 else None
    counts = category_texts(cells).value_counts()
    kept = counts[counts >= LEAST_SHARED].sort_index().nlargest(MAX_VALUES).index.sort_values()
    # A value that everybody has carries no information.
    if len(kept) == 0 or (len(kept) == 1 and counts[kept[0]] == len(cells)):
        return None
    return CategoryColumn(name=name, values=tuple(kept))


def _checked(column: CategoryColumn | NumberColumn, value: object) -> object:
    if isinstance(column, CategoryColumn):
        if str(value) not in column.values:
            raise ValueError(f"no training users have {column.name}={value!s:.80}; allowed are {_listed(column.values)}")
        return str(value)
    try:
        number = np.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{column.name} must be a finite number; got {shown(value)}")
    return number


def _listed(names: Mapping[str, object] | tuple[str, ...], most: int = 30) -> str:
    first = list(names)[:most]
    return ", ".join(first) + (f" and {len(names) - most:,} more" if len(names) > most else "")
