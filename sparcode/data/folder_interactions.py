"""Interactions of a Parquet folder, made block by block: at no time is more held than the histories, their times and one block.

The files are read three times: for the distinct ids, for the length of every history, and to put every row in the place of its user. Then
the rows of a user are put in order of time, and repeated items left out, where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparcode.data.interactions import BLOCK_ENTRIES, Histories, Interactions, offsets, row_blocks
from sparcode.data.limits import OWN_FILES, Limits, as_value_error
from sparcode.data.parquet_folder import ParquetFolder
from sparcode.data.table_file import id_column
from sparcode.data.tabular import ColumnMapping, check_min_rating, chosen_columns, item_frame, read_items, read_users, usable_rows
from sparcode.data.time_words import time_words


def read_parquet_folder(
    folder: str | Path,
    columns: ColumnMapping | Mapping[str, str] | None = None,
    items_path: str | Path | BinaryIO | None = None,
    min_rating: float | None = None,
    users_path: str | Path | BinaryIO | None = None,
    limits: Limits = OWN_FILES,
) -> Interactions:
    """Read (user, item) rows from all Parquet files of a folder, as `sparcode.data.tabular.read_table` does from one file.

    Rows without times keep the order of the files' paths. The memory taken is 12 bytes per row with times, 4 without, and some for each
    user, item and block.

    Errors as for `read_table` and `ParquetFolder`; the share of unreadable times or ratings is counted in every half a million rows, and
    times must be numbers in all of them, or dates in all.
    """
    check_min_rating(min_rating)
    files = ParquetFolder(folder, limits)
    columns, fields = chosen_columns(files.columns, files.label, columns, items_path is not None, min_rating)
    users, items = (_Ids.of(files, fields[kind]) for kind in ("user", "item"))
    dropped: dict[str, int] = {}
    rows = _Rows(_lengths(files, fields["user"], users), columns.timestamp is not None)
    titles: list[pd.DataFrame] = []
    has_title = np.zeros(len(items.texts), dtype=bool)
    for table in files.blocks(list(fields.values())):
        usable, times = usable_rows(table, columns, min_rating, files.label, block_dropped := {})
        user_codes, item_codes = users.codes(table, files.label), items.codes(table, files.label)
        full = (user_codes >= 0) & (item_codes >= 0)
        if times is not None:
            full &= times.notna().to_numpy()
        _add(dropped, {**block_dropped, "rows with an empty user, item or time": int(np.count_nonzero(usable & ~full))})
        usable &= full
        with as_value_error(f"{files.label}: column {columns.timestamp!r}"):
            rows.put(user_codes[usable], item_codes[usable], None if times is None else times[usable])
        if items_path is None:
            # An item's first row alone, so that the texts held do not grow with the blocks.
            codes, first = np.unique(item_codes, return_index=True)
            first = np.sort(first[(codes >= 0) & ~has_title[codes]])
            has_title[item_codes[first]] = True
            if (found := item_frame(table.take(first), fields, files.label)) is not None:
                titles.append(found)
    pa.default_memory_pool().release_unused()
    span = rows.time_span()
    histories, n_repeats = rows.in_order(len(items.texts))
    _add(dropped, {"repeated (user, item) pairs": n_repeats})
    if len(histories.items) == 0:
        raise ValueError(f"data set {files.label!r} has no usable rows; dropped: {dropped or 'nothing, it was empty'}")
    histories, user_ids, item_ids = _without_gaps(histories, users.texts, items.texts)
    if items_path is None:
        item_table = pd.concat(titles) if titles else None
    else:
        item_table = read_items(items_path, columns, pd.Series(item_ids), dropped, limits)
    user_table = None if users_path is None else read_users(users_path, columns, pd.Series(user_ids), dropped, limits)
    return Interactions.of_histories(
        histories,
        user_ids,
        item_ids,
        files.label,
        item_table,
        user_table,
        has_time=columns.timestamp is not None,
        dropped=dropped,
        time_span=span,
    )


class _Ids(NamedTuple):
    """The distinct ids of a column as they are and as text, both in the order of the texts."""

    column: str
    keys: pa.Array
    texts: np.ndarray

    @classmethod
    def of(cls, files: ParquetFolder, column: str) -> _Ids:
        distinct, waiting = None, []
        for table in files.blocks([column]):
            waiting.append(pc.unique(id_column(table, column, files.label)))
            # Merged once they are as many as those known, so that the work grows with the rows and not with their square.
            if distinct is None or sum(map(len, waiting)) > len(distinct):
                distinct, waiting = _merged(distinct, waiting), []
        distinct = _merged(distinct, waiting).drop_null()
        texts = pc.cast(distinct, pa.string())
        order = pc.sort_indices(texts)
        # One object per id, as for any other data.
        return cls(column, distinct.take(order), np.asarray(texts.take(order).to_pandas(), dtype=object))

    def codes(self, table: pa.Table, label: str) -> np.ndarray:
        """Numbers of a block's ids, (n,) int32; -1 where there is none."""
        keys = id_column(table, self.column, label)
        found = pc.index_in(keys, value_set=self.keys).fill_null(-1)
        return found.to_numpy() if len(found) else np.empty(0, np.int32)


def _merged(distinct: pa.Array | None, parts: list[pa.Array]) -> pa.Array:
    every = [*([] if distinct is None else [distinct]), *parts]
    return every[0] if len(every) == 1 else pc.unique(pa.chunked_array(every))


def _lengths(files: ParquetFolder, column: str, users: _Ids) -> np.ndarray:
    """Rows of every user, (n_users,) int64, whether they are used or not."""
    lengths = np.zeros(len(users.texts), np.int64)
    for table in files.blocks([column]):
        codes = users.codes(table, files.label)
        lengths += np.bincount(codes[codes >= 0], minlength=len(lengths))
    return lengths


class _Rows:
    """Rows in the places of their users: items, and times where the data has them."""

    def __init__(self, lengths: np.ndarray, has_time: bool) -> None:
        self._indptr = offsets(lengths)
        self._next = self._indptr[:-1].copy()
        self._items = np.empty(self._indptr[-1], np.int32)
        self._times = np.empty(self._indptr[-1], np.int64) if has_time else None
        self._kind: str | None = None
        # Of the first and the last time: as a number, and as it was read.
        self._ends: list[tuple[float, object]] = []

    def put(self, users: np.ndarray, items: np.ndarray, times: pd.Series | None) -> None:
        """Add rows after those that are there; ValueError if times are of another kind than before."""
        if len(users) == 0:
            return
        order = np.argsort(users, kind="stable")
        counts = np.bincount(users, minlength=len(self._next))
        before = offsets(counts)[:-1]
        places = np.empty(len(users), np.int64)
        places[order] = np.arange(len(users)) + (self._next - before)[users[order]]
        self._next += counts
        self._items[places] = items
        if times is not None:
            self._put_times(places, times.reset_index(drop=True))

    def _put_times(self, places: np.ndarray, times: pd.Series) -> None:
        kind = "dates" if isinstance(times.dtype, pd.DatetimeTZDtype) else "numbers"
        if self._kind not in (None, kind):
            raise ValueError(f"times are {self._kind} in some rows and {kind} in others; they must be the same in all")
        self._kind = kind
        if kind == "dates":
            # Nanoseconds, so that every block counts in the same unit.
            numbers = times.dt.as_unit("ns").astype(np.int64).to_numpy()
        else:
            numbers = times.astype(np.int64 if pd.api.types.is_integer_dtype(times.dtype) else np.float64).to_numpy()
        if numbers.dtype.kind == "f" and self._times.dtype.kind == "i":
            self._times = self._times.astype(np.float64)
        self._times[places] = numbers
        ends = [*self._ends, *((numbers[at], times.iloc[at]) for at in (numbers.argmin(), numbers.argmax()))]
        self._ends = [choose(ends, key=itemgetter(0)) for choose in (min, max)]

    def time_span(self) -> tuple[str, str] | None:
        """First and last time in words; None without times."""
        return tuple(time_words(time) for _, time in self._ends) or None

    def in_order(self, n_items: int) -> tuple[Histories, int]:
        """Histories in order of time, each item once (the oldest stays), and how many repeats were left out; the rows are used up."""
        lengths, end = np.zeros(len(self._next), np.int64), 0
        for first, last in row_blocks(self._indptr):
            held = self._next[first:last] - self._indptr[first:last]
            starts = offsets(held)
            users = np.repeat(np.arange(last - first), held)
            places = np.arange(starts[-1]) + (self._indptr[first:last] - starts[:-1])[users]
            if self._times is not None:
                places = places[np.lexsort((self._times[places], users))]
            items = self._items[places]
            pairs = users * n_items + items
            order = np.argsort(pairs, kind="stable")
            is_first = np.ones(len(order), dtype=bool)
            is_first[order[1:]] = pairs[order[1:]] != pairs[order[:-1]]
            kept = items[is_first]
            # Never beyond what was read: histories only get shorter.
            self._items[end : end + len(kept)] = kept
            lengths[first:last] = np.bincount(users[is_first], minlength=last - first)
            end += len(kept)
        n_repeats = int((self._next - self._indptr[:-1]).sum()) - end
        items = self._items
        self._times = self._items = None
        return Histories(offsets(lengths), items if end == len(items) else items[:end].copy(), n_items), n_repeats


def _without_gaps(histories: Histories, user_ids: np.ndarray, item_ids: np.ndarray) -> tuple[Histories, np.ndarray, np.ndarray]:
    """Histories of the users and items that are left, and their ids."""
    lengths, items = histories.lengths, histories.items
    has_rows, is_present = lengths > 0, np.zeros(len(item_ids), dtype=bool)
    is_present[items] = True
    if not is_present.all():
        places = np.cumsum(is_present, dtype=np.int32) - 1
        for start in range(0, len(items), BLOCK_ENTRIES):
            items[start : start + BLOCK_ENTRIES] = places[items[start : start + BLOCK_ENTRIES]]
    left = Histories(offsets(lengths[has_rows]), items, int(is_present.sum()))
    return left, user_ids[has_rows], item_ids[is_present]


def _add(dropped: dict[str, int], more: Mapping[str, int]) -> None:
    for reason, n in more.items():
        if n:
            dropped[reason] = dropped.get(reason, 0) + n
