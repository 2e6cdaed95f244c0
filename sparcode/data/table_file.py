"""One table out of a CSV, TSV or Parquet file: its column names, then the wanted columns, with broken rows counted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

EXTENSIONS = (".csv", ".tsv", ".parquet")
MAX_BYTES = 2**30
MAX_PARQUET_BYTES = 4 * 2**30
# What a cell takes at least once it is read, however well its column was packed.
CELL_BYTES = 8
MAX_MALFORMED_SHARE = 0.01


class TableFile:
    """A table in memory, not yet parsed.

    Parameters
    ----------
    source
        A path, or an open binary file.
    name
        File name that tells the format; by default the path's, or the open file's own ``name``.

    Attributes
    ----------
    label
        File name, for messages.
    columns
        Column names in the file's order.
    n_rows
        Rows of a Parquet file, as it says itself; None for text, whose rows are not counted yet.

    Raises
    ------
    ValueError
        If there is no such file, its extension is not in `EXTENSIONS`, it is empty, too large, or not what its extension says.
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
            self._parquet = self._open_parquet(raw)
            self.columns = list(self._parquet.schema_arrow.names)
            self.n_rows: int | None = self._parquet.metadata.num_rows
        else:
            self._parquet, self.n_rows = None, None
            self._raw = self._text(raw)
            self._delimiter, self.columns = _header(self._raw, "\t" if extension == ".tsv" else None, self.label)
        if repeated := sorted({column for column in self.columns if self.columns.count(column) > 1}):
            raise ValueError(f"{self.label}: repeated column name(s) {repeated}")

    def read(self, columns: Sequence[str]) -> tuple[pa.Table, int]:
        """Parse some columns.

        Parameters
        ----------
        columns
            Names out of `columns`.

        Returns
        -------
        table
            The columns; those of CSV and TSV are text as written, an empty cell is null.
        n_malformed
            Rows left out because they have more or fewer cells than the header.

        Raises
        ------
        ValueError
            If a column is missing, more than 1% of rows are malformed, or the content cannot be parsed.
        """
        if missing := [column for column in columns if column not in self.columns]:
            raise ValueError(f"{self.label}: no column(s) {missing}; it has {self.columns}")
        return (self._read_parquet(columns), 0) if self._parquet else self._read_text(columns)

    def _open_parquet(self, raw: bytes) -> pa.parquet.ParquetFile:
        try:
            file = pa.parquet.ParquetFile(io.BytesIO(raw))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self.label} is not a readable Parquet file: {error}") from error
        size_bytes = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        # A column of few distinct values takes next to nothing in the file.
        size_bytes = max(size_bytes, file.metadata.num_rows * file.metadata.num_columns * CELL_BYTES)
        if size_bytes > MAX_PARQUET_BYTES:
            raise ValueError(f"{self.label} unpacks to {size_bytes:,} bytes; at most {MAX_PARQUET_BYTES:,} are read")
        return file

    def _read_parquet(self, columns: Sequence[str]) -> pa.Table:
        assert self._parquet is not None
        try:
            return self._parquet.read(columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self.label} is a damaged Parquet file: {error}") from error

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

        try:
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
        except pa.ArrowException as error:
            raise ValueError(f"{self.label} cannot be parsed: {error}") from error
        n_rows = len(table) + len(malformed)
        if len(malformed) > MAX_MALFORMED_SHARE * n_rows:
            first = malformed[0]
            share = f"{MAX_MALFORMED_SHARE:.0%}"
            raise ValueError(
                f"{self.label}: {len(malformed):,} of {n_rows:,} rows are malformed (at most {share} may be), the first is row "
                f"{first.number}, header included: it has {first.actual_columns} cells, the header {first.expected_columns}"
            )
        return table, len(malformed)


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
