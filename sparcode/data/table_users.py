"""A user's own table of what is known of users, beside a table of interactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa

from sparcode.data.table_cells import is_text, read_ids, read_numbers, read_texts
from sparcode.data.table_file import TableFile


def read_users(
    source: str | Path | BinaryIO,
    user_column: Callable[[Sequence[str]], str | None],
    user_ids: pd.Series,
    dropped: dict[str, int],
) -> pd.DataFrame:
    """Read one row per user from a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Every column beside the ids is a feature: of numbers where all its cells are numbers, else of categories. Codes that only look like
    numbers have to be written as text (``job-7``). Of a user's several rows the first counts.

    Parameters
    ----------
    source
        A path, or an open binary file.
    user_column
        Picks the column of user ids from the names; None: there is none.
    user_ids
        Ids of the interactions, as text.
    dropped
        Malformed rows are counted here.

    Returns
    -------
    pd.DataFrame
        ``user_id`` as text, and the features.

    Raises
    ------
    ValueError
        If the file cannot be read, has no user column or no other one, or none of the user ids; names the file and the column.
    """
    file = TableFile(source)
    ids_from = user_column(file.columns)
    if ids_from is None:
        raise ValueError(f"user table {file.label}: cannot tell which column holds the user ids; it has {file.columns}")
    names = [column for column in file.columns if column != ids_from]
    if not names:
        raise ValueError(f"user table {file.label} has no column beside {ids_from!r}: it says nothing about users")
    table, n_malformed = file.read(file.columns)
    if n_malformed:
        dropped["malformed rows in the user table"] = n_malformed
    ids = read_ids(table, ids_from, file.label)
    if not user_ids.isin(ids).any():
        ours, theirs = (next(iter(column.dropna()), None) for column in (user_ids, ids))
        raise ValueError(f"user table {file.label}: column {ids_from!r} ({theirs!r}, ...) has none of the user ids ({ours!r}, ...)")
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
