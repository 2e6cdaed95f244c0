"""A user's own interactions from CSV, TSV or Parquet, with a mapping of column names."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, model_validator

from sparcode.config import Config
from sparcode.data.interactions import Interactions
from sparcode.data.table_cells import read_ids, read_numbers, read_texts, read_times
from sparcode.data.table_file import TableFile
from sparcode.data.table_users import read_users

logger = logging.getLogger(__name__)

# Names in use, letters and digits only; of several in one file the one listed first is taken.
COMMON_NAMES = {
    "user": ("userid", "user", "uid", "useridx", "userindex", "customerid", "customer", "visitorid", "memberid", "accountid"),
    "item": (
        "itemid",
        "item",
        "iid",
        "itemidx",
        "itemindex",
        "movieid",
        "movie",
        "productid",
        "product",
        "asin",
        "bookid",
        "songid",
        "trackid",
    ),
    "timestamp": ("timestamp", "ts", "unixtime", "time", "datetime", "date", "createdat", "eventtime", "unixreviewtime"),
    "rating": ("rating", "stars", "overall", "score"),
    "title": ("title", "itemtitle", "movietitle", "producttitle", "booktitle", "itemname", "productname", "name"),
    "genres": ("genres", "genre", "categories", "category", "tags"),
}


class ColumnMapping(Config):
    """Which column of a table holds what; None means the table has no such column."""

    user: str = Field("user_id", min_length=1, description="Column of user ids.")
    item: str = Field("item_id", min_length=1, description="Column of item ids.")
    timestamp: str | None = Field(
        None, min_length=1, description="Column of times: numbers, or ISO 8601 texts. Without it order is arbitrary."
    )
    rating: str | None = Field(None, min_length=1, description="Column of ratings, numbers; needed for a minimum rating.")
    title: str | None = Field(None, min_length=1, description="Column of item titles, in the item table where there is one.")
    genres: str | None = Field(None, min_length=1, description="Column of item genres, separated by '|', beside the titles.")

    @model_validator(mode="after")
    def _no_column_twice(self) -> ColumnMapping:
        names = [name for name in self.model_dump().values() if name is not None]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"every field needs a column of its own; {repeated} is mapped more than once")
        return self


def table_columns(source: str | Path | BinaryIO, name: str | None = None) -> list[str]:
    """Column names of a table, for instance to offer them in a form next to `guess_columns`.

    Raises
    ------
    ValueError
        As `read_table`.
    """
    return TableFile(source, name).columns


def guess_columns(names: Sequence[str]) -> ColumnMapping:
    """Map columns by their names, such as ``userId``, ``movie_id`` or ``ts``; case and punctuation do not matter.

    Raises
    ------
    ValueError
        If there is no column that looks like user ids or item ids.
    """
    guesses = {field: _guess(names, field) for field in COMMON_NAMES}
    if missing := [field for field in ("user", "item") if guesses[field] is None]:
        raise ValueError(
            f"cannot tell which column holds the {' and the '.join(missing)} ids; name it (columns=...). Present: {list(names)}"
        )
    return ColumnMapping(**guesses)


def read_table(
    source: str | Path | BinaryIO,
    columns: ColumnMapping | None = None,
    items_path: str | Path | BinaryIO | None = None,
    min_rating: float | None = None,
    name: str | None = None,
    users_path: str | Path | BinaryIO | None = None,
) -> Interactions:
    """Read (user, item) rows from a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Ids are kept as text, so that ``007`` stays ``007``. Rows with an empty or unreadable cell where one is needed are left out and
    counted in `dropped`. Text files are UTF-8 with a header line; a ``.csv`` may be separated by comma, semicolon or tab.
    Times without an offset are taken as UTC.

    Parameters
    ----------
    source
        A path, or an open binary file such as an upload.
    columns
        Which column holds what. By default guessed from the names (`guess_columns`); the guess is logged at level INFO.
    items_path
        Optional second table of the same formats with item ids, titles and optionally genres. Its columns are those named in
        `columns`, else guessed; the item column may have another name here. Without it, titles and genres come from the first table.
    min_rating
        Keep rows rated at least this. By default every row counts as a positive interaction.
    name
        File name, for an open file that has none of its own.
    users_path
        Optional table of what is known of users, see `sparcode.data.table_users.read_users`. Its user column is the one named in
        `columns`, else guessed.

    Raises
    ------
    ValueError
        If a file is missing, empty, too large, of another format or damaged; if a column is missing; if more than 1% of rows are
        malformed or of times or ratings are unreadable; or if nothing is left.
    """
    if min_rating is not None and not math.isfinite(min_rating):
        raise ValueError(f"min_rating must be a finite number; got {min_rating}")
    file = TableFile(source, name)
    if columns is None:
        columns = guess_columns(file.columns)
        if items_path is not None:
            columns = columns.model_copy(update={"title": None, "genres": None})
        logger.info("%s: columns taken by their names: %s", file.label, columns.model_dump(exclude_none=True))
    if min_rating is not None and columns.rating is None:
        raise ValueError(f"min_rating={min_rating} needs a rating column; {file.label} has {file.columns}")
    fields = columns.model_dump(exclude_none=True)
    if items_path is not None:
        fields = {field: column for field, column in fields.items() if field not in ("title", "genres")}
    table, n_malformed = file.read(list(fields.values()))
    if len(table) == 0:
        raise ValueError(f"{file.label} has a header but no rows")
    dropped = {"malformed rows": n_malformed} if n_malformed else {}
    frame = _interaction_frame(table, columns, min_rating, file.label, dropped)
    items = _item_frame(table, fields, file.label) if items_path is None else _read_items(items_path, columns, frame["item_id"], dropped)
    users = None
    if users_path is not None:
        users = read_users(
            users_path, lambda names: columns.user if columns.user in names else _guess(names, "user"), frame["user_id"], dropped
        )
    return Interactions.from_frame(frame, Path(file.label).stem, items=items, dropped=dropped, users=users)


def _guess(names: Sequence[str], field: str) -> str | None:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    return next((names[plain.index(common)] for common in COMMON_NAMES[field] if common in plain), None)


def _interaction_frame(
    table: pa.Table, columns: ColumnMapping, min_rating: float | None, label: str, dropped: dict[str, int]
) -> pd.DataFrame:
    frame = pd.DataFrame({"user_id": read_ids(table, columns.user, label), "item_id": read_ids(table, columns.item, label)})
    keep = np.ones(len(frame), dtype=bool)
    if columns.timestamp is not None:
        frame["timestamp"], unreadable = read_times(table, columns.timestamp, label)
        _drop(keep, unreadable, "rows with an unreadable time", dropped)
    if columns.rating is not None:
        ratings, unreadable = read_numbers(table, columns.rating, label)
        _drop(keep, unreadable, "rows with an unreadable rating", dropped)
        if min_rating is not None:
            _drop(keep, ratings.isna().to_numpy(), "rows with an empty rating", dropped)
            _drop(keep, (ratings < min_rating).to_numpy(), f"ratings below {min_rating:g}", dropped)
    return frame[keep]


def _drop(keep: np.ndarray, unwanted: np.ndarray, reason: str, dropped: dict[str, int]) -> None:
    if n := int(np.count_nonzero(keep & unwanted)):
        dropped[reason] = n
    keep &= ~unwanted


def _item_frame(table: pa.Table, fields: dict[str, str], label: str) -> pd.DataFrame | None:
    if "title" not in fields and "genres" not in fields:
        return None
    item_ids = read_ids(table, fields["item"], label)
    titles = read_texts(table, fields["title"], label) if "title" in fields else pd.Series([None] * len(item_ids), dtype=object)
    items = pd.DataFrame({"item_id": item_ids, "title": titles})
    if "genres" in fields:
        items["genres"] = read_texts(table, fields["genres"], label)
    return items


def _read_items(source: str | Path | BinaryIO, columns: ColumnMapping, item_ids: pd.Series, dropped: dict[str, int]) -> pd.DataFrame:
    file = TableFile(source)
    fields = {
        "item": columns.item if columns.item in file.columns else _guess(file.columns, "item"),
        "title": columns.title or _guess(file.columns, "title"),
        "genres": columns.genres or _guess(file.columns, "genres"),
    }
    if missing := [field for field in ("item", "title") if fields[field] is None]:
        raise ValueError(f"item table {file.label}: cannot tell which column holds the {' and the '.join(missing)}; it has {file.columns}")
    found = {field: column for field, column in fields.items() if column is not None}
    table, n_malformed = file.read(list(found.values()))
    if n_malformed:
        dropped["malformed rows in the item table"] = n_malformed
    items = _item_frame(table, found, file.label)
    assert items is not None
    if not item_ids.isin(items["item_id"]).any():
        ours, theirs = (next(iter(ids.dropna()), None) for ids in (item_ids, items["item_id"]))
        raise ValueError(f"item table {file.label}: column {found['item']!r} ({theirs!r}, ...) has none of the item ids ({ours!r}, ...)")
    return items.dropna(subset=["item_id"])
