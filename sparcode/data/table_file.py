"""CSV, TSV and Parquet files: column names, and columns as ids, texts, numbers or times; broken rows and cells are counted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

EXTENSIONS = (".csv", ".tsv", ".parquet")
MAX_BYTES = 2**30
MAX_PARQUET_BYTES = 4 * 2**30
# What a cell takes at least once it is read, however well its column was packed.
CELL_BYTES = 8
MAX_MALFORMED_SHARE = 0.01


class TableFile:
    """A table in memory, not yet parsed, from a path or an open binary file; `name` (by default the file's own) tells the format.

    `n_rows` is None for text files, whose rows are not counted yet; `label` is the file name, for messages.

    ValueError if there is no such file, its extension is not in `EXTENSIONS`, it is empty, too large, or not what its extension says.
    """

    def __init__(self, source: str | Path | BinaryIO, name: str | None = None) -> None:
        if isinstance(source, str | Path):
            path = Path(source)
            if not path.is_file():
                raise ValueError(f"no file at {path}")
            self.label = name or path.name
        else:
            path = None
            self.label = name or str(getattr(source, "name", "")) or "(unnamed file)"
        extension = Path(self.label).suffix.lower()
        if extension not in EXTENSIONS:
            raise ValueError(f"{self.label}: unsupported extension {extension!r}; allowed are {', '.join(EXTENSIONS)}")
        raw = _read_bounded(path or source)
        if not raw.strip():
            raise ValueError(f"{self.label} is empty")
        if len(raw) > MAX_BYTES:
            raise ValueError(f"{self.label} is larger than {MAX_BYTES:,} bytes, the most that is read")
        if extension == ".parquet":
            self._parquet, self.columns, n_rows = self._open_parquet(raw)
            self.n_rows: int | None = n_rows
        else:
            self._parquet, self.n_rows = None, None
            self._raw = self._text(raw)
            self._delimiter, self.columns = _header(self._raw, "\t" if extension == ".tsv" else None, self.label)
        if repeated := sorted({column for column in self.columns if self.columns.count(column) > 1}):
            raise ValueError(f"{self.label}: repeated column name(s) {repeated}")

    def read(self, columns: Sequence[str]) -> tuple[pa.Table, int]:
        """Parse some of `columns`; return their table and how many rows had more or fewer cells than the header and were left out.

        Columns of CSV and TSV are text as written, an empty cell is null. ValueError if a column is missing, more than 1% of rows are
        malformed, or the content cannot be parsed.
        """
        if missing := [column for column in columns if column not in self.columns]:
            raise ValueError(f"{self.label}: no column(s) {missing}; it has {self.columns}")
        return (self._read_parquet(columns), 0) if self._parquet else self._read_text(columns)

    def _open_parquet(self, raw: bytes) -> tuple[pa.parquet.ParquetFile, list[str], int]:
        with _as_value_error(f"{self.label} is not a readable Parquet file"):
            file = pa.parquet.ParquetFile(io.BytesIO(raw))
            about, columns = file.metadata, list(file.schema_arrow.names)
            size_bytes = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        # A column of few distinct values takes next to nothing in the file.
        size_bytes = max(size_bytes, about.num_rows * about.num_columns * CELL_BYTES)
        if size_bytes > MAX_PARQUET_BYTES:
            raise ValueError(f"{self.label} unpacks to {size_bytes:,} bytes; at most {MAX_PARQUET_BYTES:,} are read")
        return file, columns, about.num_rows

    def _read_parquet(self, columns: Sequence[str]) -> pa.Table:
        assert self._parquet is not None
        with _as_value_error(f"{self.label} is a damaged Parquet file"):
            table = self._parquet.read(columns=list(columns)).select(list(columns))
            table.validate(full=True)
        return table

    def _text(self, raw: bytes) -> bytes:
        if b"\x00" in raw:
            raise ValueError(f"{self.label} is not UTF-8 text (it holds zero bytes: binary, or saved as UTF-16)")
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.label} is not UTF-8 text (byte {error.start:,}); save it as UTF-8") from error
        # An unclosed quote would swallow all rows after it into one cell, without an error.
        if raw.count(b'"') % 2:
            raise ValueError(f"{self.label} has an odd number of double quotes: one is opened and never closed")
        return raw.removeprefix(b"\xef\xbb\xbf")

    def _read_text(self, columns: Sequence[str]) -> tuple[pa.Table, int]:
        malformed: list[pa.csv.InvalidRow] = []

        def skip(row: pa.csv.InvalidRow) -> str:
            malformed.append(row)
            return "skip"

        with _as_value_error(f"{self.label} cannot be parsed"):
            table = pa.csv.read_csv(
                io.BytesIO(self._raw),
                # One block, one thread: rows come numbered, and a quoted cell may hold line breaks wherever it lies.
                read_options=pa.csv.ReadOptions(use_threads=False, block_size=max(len(self._raw), 1024)),
                parse_options=pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=skip),
                convert_options=pa.csv.ConvertOptions(
                    column_types={column: pa.string() for column in columns},
                    include_columns=list(columns),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        n_rows = len(table) + len(malformed)
        if len(malformed) > MAX_MALFORMED_SHARE * n_rows:
            first = malformed[0]
            share = f"{MAX_MALFORMED_SHARE:.0%}"
            raise ValueError(
                f"{self.label}: {len(malformed):,} of {n_rows:,} rows are malformed (at most {share} may be), the first is row "
                f"{first.number}, header included: it has {first.actual_columns} cells, the header {first.expected_columns}"
            )
        return table, len(malformed)


def read_keys(table: pa.Table, column: str, label: str) -> pd.Series:
    """Ids as they are, integers or text; empty cells are missing. ValueError, with the column, for any other type."""
    values = table[column]
    if pa.types.is_floating(values.type):
        # Whole numbers with gaps are often stored as floats.
        with _as_value_error(f"{label}: ids in column {column!r} must be whole numbers or text"):
            values = pc.cast(pc.if_else(pc.is_nan(values), None, values), pa.int64())
    if is_text(values.type) or pa.types.is_null(values.type):
        return read_texts(table, column, label)
    if not pa.types.is_integer(values.type):
        raise ValueError(f"{label}: ids in column {column!r} must be integers or text; its type is {values.type}")
    with _as_value_error(f"{label}: ids in column {column!r}"):
        return _whole_numbers(values)


def read_ids(table: pa.Table, column: str, label: str) -> pd.Series:
    """Ids as text; empty cells are None. Errors as `read_keys`."""
    keys = read_keys(table, column, label)
    return keys if keys.dtype != pd.Int64Dtype() else read_texts(pa.table({column: pa.array(keys, from_pandas=True)}), column, label)


def read_texts(table: pa.Table, column: str, label: str) -> pd.Series:
    """Any column as text, lists joined by '|'; empty cells are None."""
    values = table[column]
    with _as_value_error(f"{label}: column {column!r} of type {values.type} cannot be read as text"):
        if pa.types.is_list(values.type) and is_text(values.type.value_type):
            values = pc.binary_join(values, "|")
        values = pc.cast(values, pa.string())
        return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values).to_pandas()


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def read_numbers(table: pa.Table, column: str, label: str) -> tuple[pd.Series, np.ndarray]:
    """Numbers (NaN where there is none), and (n,) bool, which cells are invalid; a ValueError where more than 1% are."""
    values = table[column]
    if not (is_text(values.type) or pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise ValueError(f"{label}: column {column!r} must hold numbers; its type is {values.type}")
    place = f"{label}: column {column!r}"
    texts = read_texts(table, column, label) if is_text(values.type) else None
    with _as_value_error(place):
        given = values.to_pandas() if texts is None else texts
        numbers = _finite(given)
    return numbers, _unreadable(given, numbers, place, "numbers")


def read_times(table: pa.Table, column: str, label: str) -> tuple[pd.Series, np.ndarray]:
    """Times as numbers or time stamps, and (n,) bool, which cells are invalid; a ValueError where more than 1% are."""
    values, place = table[column], f"{label}: column {column!r}"
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        with _as_value_error(place):
            # As whole numbers: pandas has no dates beyond some years, and only the order counts.
            return _whole_numbers(pc.cast(values, pa.int32()) if pa.types.is_date32(kind) else values), np.zeros(len(table), dtype=bool)
    if not is_text(kind):
        return read_numbers(table, column, label)
    given = read_texts(table, column, label)
    with _as_value_error(place):
        times = _finite(given)
        if times.count() < given.count():
            # Apart, because pandas 2 lends a time without an offset the offset of the row before it.
            has_offset = given.str.contains(r"(?:Z|[+-]\d\d:?\d\d|:.*[+-]\d\d)$", na=False)
            with_offset, without = (
                pd.to_datetime(given.where(rows), format="ISO8601", utc=True, errors="coerce") for rows in (has_offset, ~has_offset)
            )
            as_dates = with_offset.fillna(without)
            times = as_dates if as_dates.count() > times.count() else times
    return times, _unreadable(given, times, place, "numbers or ISO 8601 times")


@contextmanager
def _as_value_error(problem: str) -> Iterator[None]:
    """Make a ValueError of any error that pyarrow and pandas raise on damaged content."""
    try:
        yield
    except Exception as error:
        said = str(error).splitlines()[:1] or [type(error).__name__]
        raise ValueError(f"{problem}: {said[0]}") from error


def _whole_numbers(values: pa.ChunkedArray) -> pd.Series:
    return pc.cast(values, pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


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


def _read_bounded(source: Path | BinaryIO) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    if source.seekable():
        source.seek(0)
    return source.read(MAX_BYTES + 1)


def _header(raw: bytes, delimiter: str | None, label: str) -> tuple[str, list[str]]:
    line = re.split(rb"[\r\n]", raw.lstrip(b"\r\n"), maxsplit=1)[0].decode("utf-8")
    # Spreadsheets write ';' where the comma is the decimal sign.
    delimiter = delimiter or max(",;\t", key=line.count)
    try:
        return delimiter, next(csv.reader([line], delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"{label}: the header line cannot be read: {error}") from error
