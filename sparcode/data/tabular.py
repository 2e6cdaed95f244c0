"""A user's own data from tables: interactions, and optionally what is known of items and of users."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, ValidationError, model_validator

from sparcode.config import Config
from sparcode.config_message import validation_message
from sparcode.data.interactions import Interactions
from sparcode.data.limits import OWN_FILES, Limits, shown, shown_names
from sparcode.data.table_file import TableFile, is_text, read_coded_ids, read_ids, read_numbers, read_texts, read_times

logger = logging.getLogger(__name__)

# Names in use, letters and digits only; of several in one file the one listed first is taken.
COMMON_NAMES = {
    "user": ("userid", "user", "uid", "useridx", "userindex", "customerid", "customer", "visitorid", "memberid", "accountid"),
    "item": (
        *("itemid", "item", "iid", "itemidx", "itemindex", "movieid", "movie"),
        *("productid", "product", "asin", "bookid", "songid", "trackid"),
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


def guess_columns(names: Sequence[str], given: Mapping[str, str] | None = None) -> ColumnMapping:
    """Map columns by their names, such as ``userId``, ``movie_id`` or ``ts``, ignoring case and punctuation; `given` fields are kept.

    ValueError if no column looks like user ids or item ids.
    """
    given = given or {}
    others = [name for name in names if name not in given.values()]
    fields = _guesses(others) | given
    if missing := [field for field in ("user", "item") if fields[field] is None]:
        raise ValueError(
            f"cannot tell which column holds the {' and the '.join(missing)} ids; name it (columns=...). Present: {shown_names(names)}"
        )
    try:
        return ColumnMapping(**fields)
    except ValidationError as error:
        raise ValueError(validation_message(error)) from error


def read_table(
    source: str | Path | BinaryIO,
    columns: ColumnMapping | Mapping[str, str] | None = None,
    items_path: str | Path | BinaryIO | None = None,
    min_rating: float | None = None,
    name: str | None = None,
    users_path: str | Path | BinaryIO | None = None,
    limits: Limits = OWN_FILES,
) -> Interactions:
    """Read (user, item) rows from a ``.csv``, ``.tsv`` or ``.parquet`` file or upload; `name` is for an open file without a name.

    Ids are kept as text (``007`` stays ``007``). Rows with an empty or unreadable cell where one is needed are counted in `dropped`. Text
    files are UTF-8 with a header line; a ``.csv`` may be separated by comma, semicolon or tab. Times without an offset are UTC.

    ValueError if a file is missing, empty, beyond `limits`, damaged or of another format; a column is missing; more than 1% of
    rows are malformed or of times or ratings are unreadable; or nothing is left.

    Parameters
    ----------
    columns
        Fields that are left out are guessed (`guess_columns`) and logged at level INFO.
    items_path
        Table of item ids, titles and optionally genres, in columns of the same names or guessed ones; by default the first table.
    min_rating
        Keep rows rated at least this; None keeps all.
    users_path
        Table of user ids and features; a user's first row counts. Columns whose cells are all numbers are numeric, all others
        categories (write codes that look like numbers as text, such as ``job-7``).
    """
    check_min_rating(min_rating)
    file = TableFile(source, name, limits)
    columns, fields = chosen_columns(file.columns, file.label, columns, items_path is not None, min_rating)
    table, n_malformed = file.read(list(fields.values()))
    if len(table) == 0:
        raise ValueError(f"{file.label} has a header but no rows")
    dropped = {"malformed rows": n_malformed} if n_malformed else {}
    frame = _interaction_frame(table, columns, min_rating, file.label, dropped)
    items = (
        item_frame(table, fields, file.label) if items_path is None else read_items(items_path, columns, frame["item_id"], dropped, limits)
    )
    users = None if users_path is None else read_users(users_path, columns, frame["user_id"], dropped, limits)
    return Interactions.from_frame(frame, Path(file.label).stem, items=items, dropped=dropped, users=users)


def check_min_rating(min_rating: float | None) -> None:
    """ValueError for a number that no rating can be compared with."""
    if min_rating is not None and not math.isfinite(min_rating):
        raise ValueError(f"min_rating must be a finite number; got {min_rating}")


def chosen_columns(
    names: Sequence[str], label: str, columns: ColumnMapping | Mapping[str, str] | None, has_item_table: bool, min_rating: float | None
) -> tuple[ColumnMapping, dict[str, str]]:
    """The mapping of a table's columns, those not given guessed, and field -> column of those to read; errors as for `read_table`.

    Titles and genres are not read where there is a table of items.
    """
    if not isinstance(columns, ColumnMapping):
        given = columns or {}
        columns = guess_columns(names, given)
        if has_item_table:
            columns = columns.model_copy(update={"title": given.get("title"), "genres": given.get("genres")})
        if guessed := {field: column for field, column in columns.model_dump(exclude_none=True).items() if field not in given}:
            logger.info("%s: columns taken by their names: %s", label, guessed)
    if min_rating is not None and columns.rating is None:
        raise ValueError(f"min_rating={min_rating} needs a rating column; {label} has {shown_names(names)}")
    fields = columns.model_dump(exclude_none=True)
    if has_item_table:
        fields = {field: column for field, column in fields.items() if field not in ("title", "genres")}
    return columns, fields


def _guesses(names: Sequence[str]) -> dict[str, str | None]:
    """For each field the column that looks like it."""
    by_letters: dict[str, str] = {}
    for name in names:
        by_letters.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), name)
    return {field: next((by_letters[name] for name in common if name in by_letters), None) for field, common in COMMON_NAMES.items()}


def _interaction_frame(
    table: pa.Table, columns: ColumnMapping, min_rating: float | None, label: str, dropped: dict[str, int]
) -> pd.DataFrame:
    frame = pd.DataFrame({"user_id": read_coded_ids(table, columns.user, label), "item_id": read_coded_ids(table, columns.item, label)})
    usable, times = usable_rows(table, columns, min_rating, label, dropped)
    if times is not None:
        frame["timestamp"] = times
    return frame if usable.all() else frame[usable]


def usable_rows(
    table: pa.Table, columns: ColumnMapping, min_rating: float | None, label: str, dropped: dict[str, int]
) -> tuple[np.ndarray, pd.Series | None]:
    """Rows, (n,) bool, whose time can be read and whose rating is high enough, and the times; others are counted in `dropped`."""
    usable, times = np.ones(len(table), dtype=bool), None
    if columns.timestamp is not None:
        times, unreadable = read_times(table, columns.timestamp, label)
        _drop(usable, unreadable, "rows with an unreadable time", dropped)
    if columns.rating is not None:
        ratings, unreadable = read_numbers(table, columns.rating, label)
        _drop(usable, unreadable, "rows with an unreadable rating", dropped)
        if min_rating is not None:
            _drop(usable, ratings.isna().to_numpy(), "rows with an empty rating", dropped)
            _drop(usable, (ratings < min_rating).to_numpy(), f"ratings below {min_rating:g}", dropped)
    return usable, times


def _drop(usable: np.ndarray, unwanted: np.ndarray, reason: str, dropped: dict[str, int]) -> None:
    if n := int(np.count_nonzero(usable & unwanted)):
        dropped[reason] = n
    usable &= ~unwanted


def item_frame(table: pa.Table, fields: dict[str, str], label: str) -> pd.DataFrame | None:
    """Ids, titles and genres of a table, row by row; None where it has neither titles nor genres."""
    if "title" not in fields and "genres" not in fields:
        return None
    item_ids = read_ids(table, fields["item"], label)
    titles = read_texts(table, fields["title"], label) if "title" in fields else pd.Series([None] * len(item_ids), dtype=object)
    items = pd.DataFrame({"item_id": item_ids, "title": titles})
    if "genres" in fields:
        items["genres"] = read_texts(table, fields["genres"], label)
    return items


def read_items(
    source: str | Path | BinaryIO, columns: ColumnMapping, item_ids: pd.Series, dropped: dict[str, int], limits: Limits
) -> pd.DataFrame:
    """Read a table of items; ValueError if it has none of `item_ids`, or no column for ids or titles."""
    file = TableFile(source, limits=limits)
    guesses = _guesses(file.columns)
    fields = {
        "item": columns.item if columns.item in file.columns else guesses["item"],
        "title": columns.title or guesses["title"],
        "genres": columns.genres or guesses["genres"],
    }
    if missing := [field for field in ("item", "title") if fields[field] is None]:
        raise ValueError(
            f"item table {file.label}: cannot tell which column holds the {' and the '.join(missing)}; it has {shown_names(file.columns)}"
        )
    found = {field: column for field, column in fields.items() if column is not None}
    table, n_malformed = file.read(list(found.values()))
    if n_malformed:
        dropped["malformed rows in the item table"] = n_malformed
    items = item_frame(table, found, file.label)
    assert items is not None
    _check_shared("item", item_ids, items["item_id"], file.label, found["item"])
    return items.dropna(subset=["item_id"])


def read_users(
    source: str | Path | BinaryIO, columns: ColumnMapping, user_ids: pd.Series, dropped: dict[str, int], limits: Limits
) -> pd.DataFrame:
    """Read a table of users; ValueError if it has none of `user_ids`, or no column of ids or no other."""
    file = TableFile(source, limits=limits)
    ids_from = columns.user if columns.user in file.columns else _guesses(file.columns)["user"]
    if ids_from is None:
        raise ValueError(f"user table {file.label}: cannot tell which column holds the user ids; it has {shown_names(file.columns)}")
    names = [column for column in file.columns if column != ids_from]
    if not names:
        raise ValueError(f"user table {file.label} has no column beside {ids_from!r}: it says nothing about users")
    table, n_malformed = file.read(file.columns)
    if n_malformed:
        dropped["malformed rows in the user table"] = n_malformed
    ids = read_ids(table, ids_from, file.label)
    _check_shared("user", user_ids, ids, file.label, ids_from)
    # The ids' own column may have the name of another field, so the frame is made of series, not renamed.
    features = {name: _feature(table, name, file.label) for name in names if name != "user_id"}
    return pd.DataFrame({"user_id": ids, **features}).dropna(subset=["user_id"])


def _feature(table: pa.Table, column: str, label: str) -> pd.Series:
    kind = table[column].type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return read_numbers(table, column, label)[0]
    texts = read_texts(table, column, label)
    if not is_text(kind):
        return texts
    numbers = pd.to_numeric(texts, errors="coerce")
    return numbers if numbers.count() == texts.count() > 0 else texts


def _check_shared(kind: str, ids: pd.Series, others: pd.Series, label: str, column: str) -> None:
    if not ids.isin(others).any():
        ours, theirs = (next(iter(known.dropna()), None) for known in (ids, others))
        raise ValueError(f"{kind} table {label}: column {column!r} ({shown(theirs)}, ...) has none of the {kind} ids ({shown(ours)}, ...)")
