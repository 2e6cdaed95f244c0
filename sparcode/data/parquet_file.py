"""Columns of Parquet files within limits; a small file may unpack to any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sparcode.data.limits import Limits, as_value_error, shown

# What a cell takes at least once it is read, however well its column was packed.
CELL_BYTES = 8


class ParquetFile:
    """An open Parquet file; `columns` are its names, `schema` its types.

    ValueError if it cannot be read or has more rows or columns than `limits` allow.
    """

    def __init__(self, source: Path | BinaryIO, label: str, limits: Limits) -> None:
        self.label, self._limits, self._source = label, limits, source
        with as_value_error(f"{label} is not a readable Parquet file"):
            self._file = pq.ParquetFile(source)
            about = self._file.metadata
            self.n_rows: int = about.num_rows
            limits.check(label, rows=self.n_rows, columns=about.num_columns)
            # Column by column pyarrow ends the process where the description of a column is damaged.
            limits.check(label, unpacked_bytes=sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups)))
            self.schema: pa.Schema = self._file.schema_arrow
            self.columns: list[str] = list(self.schema.names)
            self._leaves = self._leaves_by_column()

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some of the columns, in the given order.

        ValueError if one is damaged, nested deeper than a list, too large once unpacked, or has a cell that is too large.
        """
        for column in columns:
            if pa.types.is_nested(_inner(kind := self.schema.field(column).type)):
                raise ValueError(f"{self.label}: column {shown(column)} cannot be read; its type is {kind!s:.100}")
        wanted = list(columns)
        with as_value_error(f"{self.label} is a damaged Parquet file"):
            leaves = [leaf for column in wanted for leaf in self._leaves[column]]
            self._limits.check(self.label, unpacked_bytes=sum(map(self._unpacked_bytes, leaves)))
            packed = self._file
            # A text that is repeated in every row is stored once, so it is read as a dictionary and counted before it is unpacked.
            if texts := [self._file.schema.column(leaf).path for leaf in leaves if self._is_text(leaf)]:
                packed = pq.ParquetFile(self._source, metadata=self._file.metadata, read_dictionary=texts)
            table = packed.read(columns=wanted, use_threads=False).select(wanted)
            table.validate(full=True)
            self._check_texts(table)
            return table.cast(pa.schema([_as_read(self.schema.field(column)) for column in wanted]))

    def first_rows(self, n_rows: int, n_columns: int) -> list[list[str]]:
        """Cells of the first rows and columns as text; columns of nested types are left empty. ValueError if they are damaged."""
        flat = [column for column in self.columns[:n_columns] if not pa.types.is_nested(self.schema.field(column).type)]
        with as_value_error(f"{self.label} is a damaged Parquet file"):
            batch = next(self._file.iter_batches(n_rows, columns=flat, use_threads=False), None)
            cells = {} if batch is None else batch.to_pydict()
        n_found = min(n_rows, self.n_rows) if flat else 0
        return [["" if cells.get(name) is None else str(cells[name][row]) for name in self.columns[:n_columns]] for row in range(n_found)]

    def _leaves_by_column(self) -> dict[str, list[int]]:
        """Places of the stored columns that make up each column of the table."""
        leaves: dict[str, list[int]] = {column: [] for column in self.columns}
        for leaf in range(len(self._file.schema)):
            name = self._file.schema.column(leaf).path
            while name not in leaves:
                name = name[: name.rindex(".")]
            leaves[name].append(leaf)
        return leaves

    def _is_text(self, leaf: int) -> bool:
        stored = self._file.schema.column(leaf)
        return stored.physical_type == "BYTE_ARRAY" and stored.logical_type.type != "DECIMAL"

    def _unpacked_bytes(self, leaf: int) -> int:
        stored = self._file.schema.column(leaf)
        return self.n_rows * max(CELL_BYTES, stored.length if stored.physical_type == "FIXED_LEN_BYTE_ARRAY" else 0)

    def _check_texts(self, table: pa.Table) -> None:
        n_bytes = 0
        for lengths, repeats in _text_lengths(table):
            self._limits.check(self.label, cell_bytes=pc.max(lengths).as_py() or 0)
            n_bytes += pc.sum(pc.take(lengths, repeats)).as_py() or 0
            n_bytes += CELL_BYTES * max(0, len(repeats) - self.n_rows)
            self._limits.check(self.label, or_more=True, unpacked_bytes=n_bytes)


def _inner(kind: pa.DataType) -> pa.DataType:
    """The type of a list's elements, or the type itself."""
    return kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind


def _as_read(field: pa.Field) -> pa.Field:
    """The field without views, which few functions know."""
    if pa.types.is_string_view(field.type):
        return field.with_type(pa.string())
    return field.with_type(pa.binary()) if pa.types.is_binary_view(field.type) else field


def _text_lengths(table: pa.Table) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Lengths in bytes of the distinct texts of each piece of a column, and which of them stands where."""
    for column in table.itercolumns():
        for chunk in column.chunks:
            cells = chunk.flatten() if pa.types.is_nested(chunk.type) else chunk
            if pa.types.is_dictionary(cells.type) and _is_binary(cells.type.value_type):
                yield pc.binary_length(cells.dictionary), cells.indices


def _is_binary(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary))
