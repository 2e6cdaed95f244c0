"""Validated containers for interaction data: `Histories` (ragged rows of items) and `Interactions` (a whole data set)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sparcode.data.time_words import time_words

# Entries that are looked at together where a copy of all would take several times the memory of the histories.
BLOCK_ENTRIES = 1 << 18


def offsets(lengths: ArrayLike) -> np.ndarray:
    """Start of every ragged row and end of the last: (n,) whole numbers -> (n + 1,) int64."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def row_blocks(indptr: np.ndarray) -> Iterator[tuple[int, int]]:
    """First row of each block of ragged rows, and the one after its last; about `BLOCK_ENTRIES` entries a block, whole rows."""
    first, n_rows = 0, len(indptr) - 1
    while first < n_rows:
        last = max(first + 1, int(np.searchsorted(indptr, indptr[first] + BLOCK_ENTRIES, side="right")) - 1)
        yield first, last
        first = last


@dataclass(frozen=True, eq=False)  # equality of arrays has no single truth value; compare the arrays
class Histories:
    """Ragged rows of item indices, oldest first: the queries (or the targets) of a set of users.

    Row b is ``items[indptr[b]:indptr[b + 1]]``: `indptr` is (B + 1,) int64, `items` (n_interactions,) int32 in ``[0, n_items)``. `features`
    are the users' (B, F) float32 side features or None.
    """

    indptr: np.ndarray
    items: np.ndarray
    n_items: int
    features: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, array in (("indptr", self.indptr), ("items", self.items)):
            if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
                raise ValueError(f"{name} must be a one-dimensional array of integers; got shape {array.shape}, dtype {array.dtype}")
        if not 0 <= self.n_items <= np.iinfo(np.int32).max:
            raise ValueError(f"n_items must lie in [0, {np.iinfo(np.int32).max}]; got {self.n_items}")
        object.__setattr__(self, "indptr", self.indptr.astype(np.int64, copy=False))
        if len(self.indptr) == 0 or self.indptr[0] != 0 or self.indptr[-1] != len(self.items):
            raise ValueError(f"indptr must run from 0 to {len(self.items)} (the number of items); got {self.indptr!r}")
        if np.any(np.diff(self.indptr) < 0):
            raise ValueError("indptr must not decrease")
        if len(self.items) and (self.items.min() < 0 or self.items.max() >= self.n_items):
            raise ValueError(f"item indices must lie in [0, {self.n_items}); got {self.items.min()} to {self.items.max()}")
        object.__setattr__(self, "items", self.items.astype(np.int32, copy=False))
        if self.features is not None:
            if self.features.ndim != 2 or len(self.features) != len(self):
                raise ValueError(f"features must be ({len(self)}, F); got shape {self.features.shape}")
            object.__setattr__(self, "features", self.features.astype(np.float32, copy=False))

    @classmethod
    def from_lists(cls, rows: list[list[int]], n_items: int) -> Histories:
        """Build from Python lists, one per row."""
        items = np.array([item for row in rows for item in row], dtype=np.int64)
        return cls(offsets([len(row) for row in rows]), items, n_items)

    @classmethod
    def from_pairs(cls, rows: np.ndarray, items: np.ndarray, n_rows: int, n_items: int) -> Histories:
        """Build from (row, item) pairs of integers, each (n,); a row's items keep their order."""
        order = np.argsort(rows, kind="stable")
        return cls(offsets(np.bincount(rows, minlength=n_rows)), items[order].astype(np.int32), n_items)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """Items of one row, (length,) int32, a view."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is not in [0, {len(self)})")
        return self.items[self.indptr[row] : self.indptr[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """(B,) int64, items per row."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> np.ndarray:
        """(n_interactions,) int64, the row of every entry of `items`."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: np.ndarray) -> Histories:
        """The given rows, (n,) integers in ``[0, B)``, in the given order; repeats are allowed. ValueError for others or a mask."""
        rows = np.asarray(rows)
        if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
            raise ValueError(f"rows must be a one-dimensional array of integers; got shape {rows.shape}, dtype {rows.dtype}")
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise ValueError(f"rows must lie in [0, {len(self)}); got {rows.min()} to {rows.max()}")
        rows = rows.astype(np.int64)
        lengths = self.lengths[rows]
        indptr = offsets(lengths)
        items, moved_by = np.empty(indptr[-1], self.items.dtype), self.indptr[rows] - indptr[:-1]
        for first, last in row_blocks(indptr):
            places = np.arange(indptr[first], indptr[last]) + np.repeat(moved_by[first:last], lengths[first:last])
            items[indptr[first] : indptr[last]] = self.items[places]
        features = None if self.features is None else self.features[rows]
        return Histories(indptr, items, self.n_items, features)

    def select(self, wanted: np.ndarray) -> Histories:
        """The entries where `wanted`, (n_interactions,) bool, is true; emptied rows stay. ValueError for another shape or type."""
        wanted = np.asarray(wanted)
        if wanted.shape != self.items.shape or wanted.dtype != bool:
            raise ValueError(f"wanted must be ({len(self.items)},) bool; got shape {wanted.shape}, dtype {wanted.dtype}")
        return Histories(offsets(wanted)[self.indptr], self.items[wanted], self.n_items, self.features)

    @property
    def n_features(self) -> int:
        """F, 0 without side features."""
        return 0 if self.features is None else self.features.shape[1]


@dataclass(frozen=True, eq=False)  # compare `content_hash`
class Interactions:
    """A data set: every user's history over a catalogue, with original ids and item texts.

    Attributes
    ----------
    histories
        One row per user, oldest first, no item twice in a row.
    user_ids, item_ids
        (n_users,) and (n_items,) original ids, in index order.
    items
        DataFrame in index order, with a ``title`` column and, where known, ``genres`` ('|'-separated).
    synthetic
        Whether the data is generated; shown wherever the data is.
    has_time
        Whether histories are ordered in time.
    dropped
        Reason -> number of rows or users left out while reading.
    users
        DataFrame in index order of user features, numbers or category texts; None for none.
    parts
        Part of a ready-made split -> hash of its content; empty for other data.
    time_span
        First and last time in words; None without times.
    """

    histories: Histories
    user_ids: np.ndarray
    item_ids: np.ndarray
    items: pd.DataFrame
    name: str
    synthetic: bool = False
    has_time: bool = True
    dropped: Mapping[str, int] = field(default_factory=dict)
    users: pd.DataFrame | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    time_span: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if len(self.user_ids) != len(self.histories):
            raise ValueError(f"{len(self.user_ids)} user ids for {len(self.histories)} histories")
        if not len(self.item_ids) == len(self.items) == self.histories.n_items:
            raise ValueError(f"{len(self.item_ids)} item ids and {len(self.items)} item rows for a catalogue of {self.histories.n_items}")
        if "title" not in self.items.columns:
            raise ValueError(f"items needs a 'title' column; got {list(self.items.columns)}")
        if self.users is not None and len(self.users) != len(self.histories):
            raise ValueError(f"{len(self.users)} rows of user features for {len(self.histories)} histories")
        if self.n_interactions == 0:
            raise ValueError(f"data set {self.name!r} has no interactions")
        self._check_repeats()

    def _check_repeats(self) -> None:
        indptr, items = self.histories.indptr, self.histories.items
        for first, last in row_blocks(indptr):
            rows = np.repeat(np.arange(first, last), np.diff(indptr[first : last + 1]))
            pairs = np.sort(rows * np.int64(self.n_items) + items[indptr[first] : indptr[last]])
            if len(repeats := pairs[1:][pairs[1:] == pairs[:-1]]):
                row, item = divmod(int(repeats[0]), self.n_items)
                raise ValueError(f"no item may be twice in a history; user row {row} has item {item} twice")

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        name: str,
        items: pd.DataFrame | None = None,
        synthetic: bool = False,
        dropped: Mapping[str, int] | None = None,
        users: pd.DataFrame | None = None,
    ) -> Interactions:
        """Index a frame of (user, item) rows; rows without a user or item and repeated pairs (the oldest stays) are counted in `dropped`.

        ValueError if a column is missing, or nothing is left.

        Parameters
        ----------
        frame
            Columns ``user_id``, ``item_id`` (integers or text) and optionally ``timestamp`` (numbers or times); without it the order of
            rows is kept and `has_time` is false.
        items
            ``item_id``, ``title`` and optionally ``genres`` and others; items without interactions are left out, the id stands for a
            missing title.
        dropped
            Counts of what was left out before.
        users
            ``user_id`` and feature columns; a user without a row has unknown features.
        """
        if missing := [column for column in ("user_id", "item_id") if column not in frame.columns]:
            raise ValueError(f"missing column(s) {missing}; the data has {list(frame.columns)}")
        dropped = dict(dropped or {})
        has_time = "timestamp" in frame.columns
        # Numbers from here on, for a frame of texts takes several times the memory with every step.
        (user_codes, user_ids), (item_codes, item_ids) = _numbered(frame["user_id"]), _numbered(frame["item_id"])
        full = (user_codes >= 0) & (item_codes >= 0) & (frame["timestamp"].notna().to_numpy() if has_time else True)
        _count(dropped, "rows with an empty user, item or time", len(full) - np.count_nonzero(full))
        order = np.flatnonzero(full)
        if has_time:
            order = order[frame["timestamp"].iloc[order].reset_index(drop=True).sort_values(kind="stable").index]
        ends = frame["timestamp"].iloc[order[[0, -1]]] if has_time and len(order) else ()
        pairs = pd.Series(user_codes[order].astype(np.int64) * len(item_ids) + item_codes[order])
        distinct = order[~pairs.duplicated().to_numpy()]
        _count(dropped, "repeated (user, item) pairs", len(order) - len(distinct))
        del order, pairs
        if len(distinct) == 0:
            raise ValueError(f"data set {name!r} has no usable rows; dropped: {dropped or 'nothing, it was empty'}")
        user_codes, user_ids = _present(user_codes[distinct], user_ids)
        item_codes, item_ids = _present(item_codes[distinct], item_ids)
        histories = Histories.from_pairs(user_codes, item_codes, len(user_ids), len(item_ids))
        facts = {"synthetic": synthetic, "has_time": has_time, "dropped": dropped, "time_span": tuple(map(time_words, ends)) or None}
        return cls.of_histories(histories, user_ids, item_ids, name, items, users, **facts)

    @classmethod
    def of_histories(
        cls,
        histories: Histories,
        user_ids: np.ndarray,
        item_ids: np.ndarray,
        name: str,
        items: pd.DataFrame | None = None,
        users: pd.DataFrame | None = None,
        **facts: Any,
    ) -> Interactions:
        """Add the tables to histories that are made; `items` and `users` as for `from_frame`, `facts` are other attributes.

        ValueError if a table lacks a column.
        """
        return cls(histories, user_ids, item_ids, _item_table(item_ids, items), name, users=_user_table(user_ids, users), **facts)

    @property
    def n_users(self) -> int:
        """Users with at least one interaction."""
        return len(self.histories)

    @property
    def n_items(self) -> int:
        """Catalogue size I."""
        return self.histories.n_items

    @property
    def n_interactions(self) -> int:
        """(user, item) pairs."""
        return len(self.histories.items)

    def content_hash(self) -> str:
        """Hash of the histories, or of all parts of a ready-made split, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        if self.parts:
            digest.update(json.dumps(dict(self.parts), sort_keys=True).encode())
            return digest.hexdigest()[:16]
        digest.update(np.ascontiguousarray(self.histories.indptr).data)
        digest.update(np.ascontiguousarray(self.histories.items).data)
        digest.update(str(self.n_items).encode())
        return digest.hexdigest()[:16]

    def __repr__(self) -> str:
        kind = "synthetic, " if self.synthetic else ""
        return f"Interactions({self.name!r}, {kind}{self.n_users:,} users, {self.n_items:,} items, {self.n_interactions:,} interactions)"


def _count(dropped: dict[str, int], reason: str, n: int) -> None:
    if n:
        dropped[reason] = dropped.get(reason, 0) + int(n)


def _numbered(ids: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Ids as numbers, (n,) int32, -1 where there is none, and the distinct ids in order."""
    codes, distinct = pd.factorize(ids, sort=True)
    return codes.astype(np.int32), distinct


def _present(codes: np.ndarray, ids: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """The numbers without gaps, and the ids that are left."""
    is_present = np.zeros(len(ids), dtype=bool)
    is_present[codes] = True
    return (np.cumsum(is_present, dtype=np.int32) - 1)[codes], np.asarray(ids[is_present])


def _item_table(item_ids: np.ndarray, items: pd.DataFrame | None) -> pd.DataFrame:
    if items is None:
        return pd.DataFrame({"title": [str(item_id) for item_id in item_ids]})
    if missing := [column for column in ("item_id", "title") if column not in items.columns]:
        raise ValueError(f"missing item column(s) {missing}; the item file has {list(items.columns)}")
    # Text before reindexing: a gap would turn whole-number titles such as 1984 into 1984.0.
    titles = pd.Series([None if pd.isna(title) else str(title) for title in items["title"]], index=items.index, dtype=object)
    table = items.assign(title=titles).drop_duplicates("item_id").set_index("item_id").reindex(item_ids).reset_index(drop=True)
    table["title"] = [str(item_id) if pd.isna(title) else title for item_id, title in zip(item_ids, table["title"], strict=True)]
    return table


def _user_table(user_ids: np.ndarray, users: pd.DataFrame | None) -> pd.DataFrame | None:
    if users is None:
        return None
    if "user_id" not in users.columns:
        raise ValueError(f"missing user column 'user_id'; the user table has {list(users.columns)}")
    return users.drop_duplicates("user_id").set_index("user_id").reindex(user_ids).reset_index(drop=True)
