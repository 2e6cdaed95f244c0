"""Columns of a table as ids, texts, numbers and times; what cannot be read is told apart from what is empty."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparcode.data.table_file import MAX_MALFORMED_SHARE


def read_ids(table: pa.Table, column: str, label: str) -> pd.Series:
    """Ids as text; empty cells are None. A ValueError names the column where it holds neither integers nor text."""
    values = table[column]
    if pa.types.is_floating(values.type):
        # Whole numbers with gaps are often stored as floats.
        try:
            values = pc.cast(values, pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueError(f"{label}: ids in column {column!r} must be whole numbers or text: {error}") from error
    elif not (is_text(values.type) or pa.types.is_integer(values.type)):
        raise ValueError(f"{label}: ids in column {column!r} must be integers or text; its type is {values.type}")
    return read_texts(pa.table({column: values}), column, label)


def read_texts(table: pa.Table, column: str, label: str) -> pd.Series:
    """Any column as text, lists joined by '|'; empty cells are None."""
    values = table[column]
    if pa.types.is_list(values.type) and is_text(values.type.value_type):
        values = pc.binary_join(values, "|")
    try:
        values = pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{label}: column {column!r} of type {table[column].type} cannot be read as text: {error}") from error
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values).to_pandas()


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def read_numbers(table: pa.Table, column: str, label: str) -> tuple[pd.Series, np.ndarray]:
    """Numbers (NaN where there is none), and (n,) bool which cells hold something else; a ValueError where more than 1% do."""
    values = table[column]
    if not (is_text(values.type) or pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise ValueError(f"{label}: column {column!r} must hold numbers; its type is {values.type}")
    given = read_texts(table, column, label) if is_text(values.type) else values.to_pandas()
    numbers = _finite(given)
    return numbers, _unreadable(given, numbers, f"{label}: column {column!r}", "numbers")


def read_times(table: pa.Table, column: str, label: str) -> tuple[pd.Series, np.ndarray]:
    """Times as numbers or time stamps, and (n,) bool which cells hold something else; a ValueError where more than 1% do."""
    kind = table[column].type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pd.to_datetime(table[column].to_pandas()), np.zeros(len(table), dtype=bool)
    if not is_text(kind):
        return read_numbers(table, column, label)
    given = read_texts(table, column, label)
    times = _finite(given)
    if times.count() < given.count():
        # Apart, because pandas 2 lends a time without an offset the offset of the row before it.
        has_offset = given.str.contains(r"(?:Z|[+-]\d\d:?\d\d|:.*[+-]\d\d)$", na=False)
        with_offset, without = (
            pd.to_datetime(given.where(rows), format="ISO8601", utc=True, errors="coerce") for rows in (has_offset, ~has_offset)
        )
        as_dates = with_offset.fillna(without)
        times = as_dates if as_dates.count() > times.count() else times
    return times, _unreadable(given, times, f"{label}: column {column!r}", "numbers or ISO 8601 times")


def _finite(given: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(given, errors="coerce")
    return numbers.where(np.isfinite(numbers.to_numpy(dtype=float, na_value=np.nan)))


def _unreadable(given: pd.Series, values: pd.Series, place: str, wanted: str) -> np.ndarray:
    unreadable = (given.notna() & values.isna()).to_numpy()
    n = int(np.count_nonzero(unreadable))
    if n > MAX_MALFORMED_SHARE * given.count():
        first = int(np.argmax(unreadable))
        raise ValueError(
            f"{place}: {n:,} of {given.count():,} values are not {wanted} (at most {MAX_MALFORMED_SHARE:.0%} may be); "
            f"the first is {given.iloc[first]!r} in data row {first + 1}"
        )
    return unreadable
