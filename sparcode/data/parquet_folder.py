"""A folder of Parquet files as one table, read lazily: some columns, a block of rows at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq

from sparcode.data.limits import OWN_FILES, Limits, as_value_error, shown_names

logger = logging.getLogger(__name__)

# What a row takes at most once it is read: an item's number and a time.
ROW_BYTES = 12
_BLOCK_ROWS, _BATCH_ROWS = 1 << 19, 1 << 17
_NAMED_FILES = 5


class ParquetFolder:
    """The ``*.parquet`` files of a folder and the folders in it, in the order of their paths; names beginning with '.' or '_' are left out.

    Folders named ``column=value`` (hive partitions) are columns as well. Files of other kinds are ignored and logged at INFO.
    `columns` are the names of all files' columns, `n_rows` the number of all rows, `label` the folder's name.

    ValueError, with the file, if one is damaged or has a column in a type that does not go with the others; also if there is no file, no
    row, or more than `limits` allow.
    """

    def __init__(self, folder: str | Path, limits: Limits = OWN_FILES) -> None:
        root = Path(folder).resolve()
        self.label, self._limits = root.name or str(root), limits
        files, others = _files(root)
        if others:
            more = f" and {len(others) - _NAMED_FILES:,} more" if len(others) > _NAMED_FILES else ""
            logger.info("%s: only .parquet files are read; ignored: %s%s", self.label, ", ".join(others[:_NAMED_FILES]), more)
        if not files:
            raise ValueError(f"{self.label} has no .parquet files")
        schemas, self.n_rows = [], 0
        for file in files:
            with as_value_error(f"{self.label}: {file} is not a readable Parquet file"):
                about = pq.read_metadata(root / file)
                schemas.append(about.schema.to_arrow_schema().remove_metadata())
                self.n_rows += about.num_rows
                limits.check(f"{self.label}: {file}", columns=about.num_columns)
        if self.n_rows == 0:
            raise ValueError(f"{self.label}: its files have no rows")
        limits.check(self.label, rows=self.n_rows, unpacked_bytes=self.n_rows * ROW_BYTES)
        schema = self._common(files, schemas)
        partitions = ds.HivePartitioning.discover()
        # Row groups are decoded piece by piece, not held whole.
        form = ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True))
        options = ds.FileSystemFactoryOptions(partition_base_dir=str(root), partitioning=partitions)
        with as_value_error(f"{self.label}: its files cannot be read as one table"):
            paths = [str(root / file) for file in files]
            factory = ds.FileSystemDatasetFactory(pa.fs.LocalFileSystem(), paths, form, options)
            named = factory.inspect(fragments=1)
            known = set(schema.names)
            # Of a column that files and folders both have, files are believed.
            self._schema = pa.schema([*schema, *(named.field(name) for name in named.names if name not in known)])
            self._dataset = factory.finish(self._schema)
        self.columns: list[str] = list(self._schema.names)

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some of the columns, in pieces of about half a million rows, in order; columns that a file lacks are empty there.

        ValueError if a column is missing, a file is damaged, or a cell is too large.
        """
        if missing := [column for column in columns if column not in self.columns]:
            raise ValueError(f"{self.label}: no column(s) {shown_names(missing)}; it has {shown_names(self.columns)}")
        held: list[pa.RecordBatch] = []
        for fragment in self._dataset.get_fragments():
            with as_value_error(f"{self.label}: {self._short(fragment.path)} is a damaged Parquet file"):
                for batch in fragment.to_batches(
                    schema=self._schema,
                    columns=list(columns),
                    batch_size=_BATCH_ROWS,
                    batch_readahead=0,
                    fragment_readahead=0,
                    use_threads=False,
                ):
                    batch.validate(full=True)
                    self._check_cells(batch)
                    held.append(batch)
                    if sum(map(len, held)) >= _BLOCK_ROWS:
                        yield pa.Table.from_batches(held)
                        held = []
        if held:
            yield pa.Table.from_batches(held)

    def _common(self, files: Sequence[str], schemas: Sequence[pa.Schema]) -> pa.Schema:
        """The columns of all files, each of the widest of its types."""
        common = schemas[0]
        for file, schema in zip(files[1:], schemas[1:], strict=True):
            if schema.equals(common):
                continue
            try:
                common = pa.unify_schemas([common, schema], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise ValueError(f"{self.label}: {file} does not go with {files[0]}: {str(error).splitlines()[0]:.300}") from error
        return common

    def _check_cells(self, batch: pa.RecordBatch) -> None:
        for column in batch.columns:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                self._limits.check(self.label, cell_bytes=pc.max(pc.binary_length(column)).as_py() or 0)

    def _short(self, path: str) -> str:
        return path.rpartition(f"/{self.label}/")[2]


def holds_parquet(folder: Path) -> bool:
    """Whether a folder, or one in it, has a Parquet file that `ParquetFolder` reads."""
    return any(_is_read(name) for _, names in _walk(folder) for name in names)


def _files(root: Path) -> tuple[list[str], list[str]]:
    """Paths from the folder on of the files that are read, and of those that are not, in order."""
    found: tuple[list[str], list[str]] = ([], [])
    for parent, names in _walk(root):
        for name in names:
            if not name.startswith((".", "_")):
                found[not _is_read(name)].append((parent / name).relative_to(root).as_posix())
    return sorted(found[0]), sorted(found[1])


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield Path(parent), names


def _is_read(name: str) -> bool:
    return name.lower().endswith(".parquet") and not name.startswith((".", "_"))
