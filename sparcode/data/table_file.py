"""CSV, TSV and Parquet files: column names, and columns as ids, texts, numbers or times; broken rows and cells are counted."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sparcode.data.limits import OWN_FILES, Limits, as_value_error, shown, shown_names
from sparcode.data.lines import MAX_MALFORMED_SHARE
from sparcode.data.parquet_file import ParquetFile

EXTENSIONS = (".csv", ".tsv", ".parquet")
# A longer cell is no number, and Python takes quadratic time to find out.
_NUMBER_CHARACTERS = 100
# Malformed rows that are counted to the end before a file is given up.
_COUNTED_ROWS = 10_000
_LOOKED_AT_BYTES = 1 << 16


class TableFile:
    """A table in memory, not yet parsed, from a path or an open binary file; `name` (by default the file's own) tells the format.

    `label` is the file name, for messages.

    ValueError if there is no such file, its extension is not in `EXTENSIONS`, it is empty, beyond `limits`, or not what its extension says.
    """

    def __init__(self, source: str | Path | BinaryIO, name: str | None = None, limits: Limits = OWN_FILES) -> None:
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
        self._limits = limits
        if path is not None:
            # Before anything of it is read.
            limits.check(self.label, file_bytes=path.stat().st_size)
        raw = _read_bounded(path or source, limits.file_bytes)
        limits.check(self.label, or_more=True, file_bytes=len(raw))
        if not raw.strip():
            raise ValueError(f"{self.label} is empty")
        self._parquet = ParquetFile(io.BytesIO(raw), self.label, limits) if extension == ".parquet" else None
        if self._parquet is not None:
            self.columns = self._parquet.columns
        else:
            self._raw = self._text(raw)
            self._delimiter, self.columns = _header(self._raw, "\t" if extension == ".tsv" else None, self.label)
            limits.check(self.label, columns=len(self.columns), cell_bytes=max(map(len, self.columns), default=0))
        if repeated := sorted(column for column, n in Counter(self.columns).items() if n > 1):
            raise ValueError(f"{self.label}: repeated column name(s) {shown_names(repeated)}")

    def read(self, columns: Sequence[str]) -> tuple[pa.Table, int]:
        """Parse some of `columns`; return their table and how many rows had more or fewer cells than the header and were left out.

        Columns of CSV and TSV are text as written, an empty cell is null. ValueError if a column is missing, more than 1% of rows are
        malformed, rows or cells are beyond the limits, or the content cannot be parsed.
        """
        present = set(self.columns)
        if missing := [column for column in columns if column not in present]:
            raise ValueError(f"{self.label}: no column(s) {shown_names(missing)}; it has {shown_names(self.columns)}")
        return (self._parquet.read(columns), 0) if self._parquet else self._read_text(columns)

    def first_rows(self, n_rows: int, n_columns: int) -> list[list[str]]:
        """Cells of the first rows and columns as text, for people to look at; nothing is checked."""
        if self._parquet is not None:
            return self._parquet.first_rows(n_rows, n_columns)
        start = self._raw[: 2 * _LOOKED_AT_BYTES].lstrip(b"\r\n")[:_LOOKED_AT_BYTES]
        # The last line, if cut off, may end within a character.
        text = (start if len(self._raw) <= _LOOKED_AT_BYTES else start.rpartition(b"\n")[0]).decode(errors="replace")
        # Cells of any length, as they were counted before.
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter)
        try:
            return [row[:n_columns] for row in itertools.islice(lines, 1, n_rows + 1)]
        except csv.Error:
            return []

    def _text(self, raw: bytes) -> bytes:
        if b"\x00" in raw:
            raise ValueError(f"{self.label} is not UTF-8 text (it holds zero bytes: binary, or saved as UTF-16)")
        try:
            # Checked without a decoded copy, which takes up to four times the memory.
            ends = pa.py_buffer(np.array([0, len(raw)]))
            pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(raw)]).validate(full=True)
        except pa.ArrowInvalid:
            raise ValueError(f"{self.label} is not UTF-8 text (byte {_first_undecodable(raw):,}); save it as UTF-8") from None
        # An unclosed quote would swallow all rows after it into one cell, without an error.
        if raw.count(b'"') % 2:
            raise ValueError(f"{self.label} has an odd number of double quotes: one is opened and never closed")
        return raw.removeprefix(b"\xef\xbb\xbf")

    def _read_text(self, columns: Sequence[str]) -> tuple[pa.Table, int]:
        # Rows are never more.
        n_lines = self._raw.count(b"\n") + self._raw.count(b"\r") - self._raw.count(b"\r\n") + 1
        malformed = _MalformedRows(max(_COUNTED_ROWS, int(MAX_MALFORMED_SHARE * n_lines)))
        try:
            table = self._parsed(columns, malformed)
        except ValueError:
            if malformed.are_too_many:
                raise malformed.refusal(self.label, f"or more of at most {n_lines:,}") from None
            raise
        n_rows = len(table) + malformed.n
        if malformed.n > MAX_MALFORMED_SHARE * n_rows:
            raise malformed.refusal(self.label, f"of {n_rows:,}")
        self._limits.check(self.label, rows=n_rows)
        for column in table.itercolumns():
            self._limits.check(self.label, cell_bytes=pc.max(pc.binary_length(column)).as_py() or 0)
        return table, malformed.n

    def _parsed(self, columns: Sequence[str], malformed: _MalformedRows) -> pa.Table:
        with as_value_error(f"{self.label} cannot be parsed"):
            return pa.csv.read_csv(
                pa.BufferReader(self._raw),
                # One block, one thread: rows come numbered, and a quoted cell may hold line breaks wherever it lies.
                read_options=pa.csv.ReadOptions(use_threads=False, block_size=max(len(self._raw), 1024)),
                parse_options=pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=malformed.skip),
                convert_options=pa.csv.ConvertOptions(
                    column_types={column: pa.string() for column in columns},
                    include_columns=list(columns),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )


class _MalformedRows:
    """The number of malformed rows, and the first of them; parsing ends beyond `most`."""

    def __init__(self, most: int) -> None:
        self.n = 0
        self.first: pa.csv.InvalidRow | None = None
        self._most = most

    @property
    def are_too_many(self) -> bool:
        """Whether the file is given up."""
        return self.n > self._most

    def skip(self, row: pa.csv.InvalidRow) -> str:
        """Count a row; for pyarrow."""
        self.n += 1
        self.first = self.first or row
        return "error" if self.are_too_many else "skip"

    def refusal(self, label: str, of_how_many: str) -> ValueError:
        """What is wrong with the file."""
        assert self.first is not None
        return ValueError(
            f"{label}: {self.n:,} {of_how_many} rows are malformed (at most {MAX_MALFORMED_SHARE:.0%} may be), the first is row "
            f"{self.first.number}, header included: it has {self.first.actual_columns} cells, the header {self.first.expected_columns}"
        )


def read_keys(table: pa.Table, column: str, label: str) -> pd.Series:
    """Ids as they are, integers or text; empty cells are missing. ValueError, with the column, for any other type."""
    keys = id_column(table, column, label)
    with as_value_error(f"{label}: ids in column {column!r}"):
        return _whole_numbers(keys) if pa.types.is_integer(keys.type) else keys.to_pandas()


def read_ids(table: pa.Table, column: str, label: str) -> pd.Series:
    """Ids as text; empty cells are None. Errors as `read_keys`."""
    return read_texts(pa.table({column: id_column(table, column, label)}), column, label)


def read_coded_ids(table: pa.Table, column: str, label: str) -> pd.Series:
    """Ids as categories of text, in order; each is stored once. Empty cells are missing. Errors as `read_keys`."""
    coded = pa.concat_arrays(id_column(table, column, label).chunks).dictionary_encode()
    texts = pc.cast(coded.dictionary, pa.string())
    order = pc.sort_indices(texts).to_numpy()
    # The last place is for the missing ones, whose number is -1.
    ranks = np.full(len(order) + 1, -1, dtype=np.int32)
    ranks[order] = np.arange(len(order))
    places = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Series(pd.Categorical.from_codes(ranks[places], categories=texts.take(pa.array(order)).to_pandas()))


def id_column(table: pa.Table, column: str, label: str) -> pa.ChunkedArray:
    """Ids as integers or text, null where there is none. ValueError, with the column, for any other type."""
    values = table[column]
    if pa.types.is_floating(values.type):
        # Whole numbers with gaps are often stored as floats.
        with as_value_error(f"{label}: ids in column {column!r} must be whole numbers or text"):
            values = pc.cast(pc.if_else(pc.is_nan(values), None, values), pa.int64())
    if is_text(values.type) or pa.types.is_null(values.type):
        return _texts(values, column, label)
    if not pa.types.is_integer(values.type):
        raise ValueError(f"{label}: ids in column {column!r} must be integers or text; its type is {values.type}")
    return values


def read_texts(table: pa.Table, column: str, label: str) -> pd.Series:
    """Any column as text, lists joined by '|'; empty cells are None."""
    return _texts(table[column], column, label).to_pandas()


def _texts(values: pa.ChunkedArray, column: str, label: str) -> pa.ChunkedArray:
    with as_value_error(f"{label}: column {column!r} of type {values.type} cannot be read as text"):
        if pa.types.is_list(values.type) and is_text(values.type.value_type):
            values = pc.binary_join(values, "|")
        values = pc.cast(values, pa.string())
        return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


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
    with as_value_error(place):
        given = values.to_pandas() if texts is None else texts
        numbers = _finite(given)
    return numbers, _unreadable(given, numbers, place, "numbers")


def read_times(table: pa.Table, column: str, label: str) -> tuple[pd.Series, np.ndarray]:
    """Times as numbers or time stamps, and (n,) bool, which cells are invalid; a ValueError where more than 1% are."""
    values, place = table[column], f"{label}: column {column!r}"
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        with as_value_error(place):
            # As whole numbers: pandas has no dates beyond some years, and only the order counts.
            return _whole_numbers(pc.cast(values, pa.int32()) if pa.types.is_date32(kind) else values), np.zeros(len(table), dtype=bool)
    if not is_text(kind):
        return read_numbers(table, column, label)
    given = read_texts(table, column, label)
    with as_value_error(place):
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


def _whole_numbers(values: pa.ChunkedArray) -> pd.Series:
    return pc.cast(values, pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def _finite(given: pd.Series) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(given):
        given = given.where(given.str.len() <= _NUMBER_CHARACTERS)
    numbers = pd.to_numeric(given, errors="coerce")
    return numbers.where(np.isfinite(numbers.to_numpy(dtype=float, na_value=np.nan)))


def _unreadable(given: pd.Series, values: pd.Series, place: str, wanted: str) -> np.ndarray:
    unreadable = (given.notna() & values.isna()).to_numpy()
    n = int(np.count_nonzero(unreadable))
    if n > MAX_MALFORMED_SHARE * given.count():
        first = int(np.argmax(unreadable))
        raise ValueError(
            f"{place}: {n:,} of {given.count():,} values are not {wanted} (at most {MAX_MALFORMED_SHARE:.0%} may be); "
            f"the first is {shown(given.iloc[first])} in data row {first + 1}"
        )
    return unreadable


def _read_bounded(source: Path | BinaryIO, most: int) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(most + 1)
    if source.seekable():
        source.seek(0)
    return source.read(most + 1)


def _first_undecodable(raw: bytes) -> int:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _header(raw: bytes, delimiter: str | None, label: str) -> tuple[str, list[str]]:
    start = len(raw) - len(raw.lstrip(b"\r\n"))
    end = re.compile(rb"[\r\n]|\Z").search(raw, start).start()
    line = raw[start:end].decode("utf-8")
    # Spreadsheets write ';' where the comma is the decimal sign.
    delimiter = delimiter or max(",;\t", key=line.count)
    try:
        return delimiter, next(csv.reader([line], delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"{label}: the header line cannot be read: {error}") from error
