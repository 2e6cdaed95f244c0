"""Data for a training from scratch: the studio's, synthetic data of two sizes, or an uploaded file."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import pandas as pd

from app.jobs.byte_cache import ByteCache
from app.training.data_folder import NamedFile
from app.training.reader import ReadFile, TableLook, facts
from app.training.reading import FileReader
from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.data.interactions import Interactions
from sparcode.data.limits import FOLDER_FILES, UPLOADS
from sparcode.data.loading import FILE_EXTENSIONS, load
from sparcode.data.split import Split, split_users

UPLOAD_EXTENSIONS: Final = tuple(extension.removeprefix(".") for extension in FILE_EXTENSIONS)
MAX_UPLOAD_MB: Final = UPLOADS.file_bytes // 2**20
SMALL_USERS: Final = 600
SMALL_ITEMS: Final = 400
# Key of the data that the studio was started with.
STUDIO: Final = "studio"
_SPLIT_BYTES: Final = 256 * 2**20
_UPLOADS_BYTES: Final = 256 * 2**20
# What reading a file of the folder may take; see `FOLDER_FILES`.
_FOLDER_BYTES: Final = 4 * 2**30
_FOLDER_SECONDS: Final = 300.0
# Between two checks of whether the owners of uploads are still there.
_LOOK_SECONDS: Final = 15.0


def _not_known() -> Interactions:
    raise RuntimeError("the data of a run that was started is not kept")


class TrainingData(NamedTuple):
    """One choice of data.

    Attributes
    ----------
    key
        Figures of the same key are comparable.
    synthetic
        Whether it is made up by this project.
    facts
        Users, items and interactions in words; empty before it is made.
    split
        Makes or fetches the split; may take seconds.
    dropped
        Reason -> rows or users left out; empty for synthetic data.
    interactions
        Makes or fetches the data before it was split, for a run that is to be kept.
    table
        What an uploaded table looks like; None for other data.
    private
        Whether it is a visitor's own, shown to nobody else.
    n_bytes
        Memory that it holds; 0 for data that is there anyway, or made on demand.
    """

    key: str
    name: str
    synthetic: bool
    facts: str
    split: Callable[[], Split]
    dropped: Mapping[str, int] = MappingProxyType({})
    interactions: Callable[[], Interactions] = _not_known
    table: TableLook | None = None
    private: bool = False
    n_bytes: int = 0


class _Upload(NamedTuple):
    owner: str
    place: str
    data: TrainingData
    n_bytes: int


def training_data(key: str, interactions: Interactions, split: Split) -> TrainingData:
    """Data that is at hand, as a choice for a training."""
    return TrainingData(
        key,
        interactions.name,
        interactions.synthetic,
        facts(interactions),
        lambda: split,
        {**interactions.dropped, **split.dropped},
        lambda: interactions,
        n_bytes=_bytes_of(split) + interactions_bytes(interactions),
    )


def interactions_bytes(interactions: Interactions) -> int:
    """Memory of histories, ids, titles and attributes."""
    histories, users = interactions.histories, interactions.users
    arrays = sum(array.nbytes for array in (histories.indptr, histories.items, histories.features) if array is not None)
    ids = sum(pd.Series(each).memory_usage(index=False, deep=True) for each in (interactions.user_ids, interactions.item_ids))
    tables = sum(int(table.memory_usage(deep=True).sum()) for table in (interactions.items, users) if table is not None)
    return arrays + ids + tables


class DataShelf:
    """Data sets by name, cached while they fit: the studio's data, and others split by `config`. Safe to share between threads.

    `has_gone` tells whether an owner has closed the studio; then its upload is dropped. `reader` reads all files; by default a `FileReader`
    for uploads, and one that takes larger files from the folder of this machine.
    """

    def __init__(
        self,
        interactions: Interactions,
        split: Split,
        config: SplitConfig,
        has_gone: Callable[[str], bool] = lambda owner: False,
        reader: FileReader | None = None,
    ) -> None:
        self._config, self._has_gone = config, has_gone
        self._reader = reader or FileReader(config)
        self._folder_reader = reader or FileReader(config, FOLDER_FILES, _FOLDER_BYTES, _FOLDER_SECONDS)
        self._own = training_data(STUDIO, interactions, split)._replace(n_bytes=0)
        # Told whose file was dropped because its owner had left.
        self.on_dropped: list[Callable[[str], None]] = []
        self._splits: ByteCache[Split] = ByteCache(_SPLIT_BYTES, _bytes_of)
        self._uploads: ByteCache[_Upload] = ByteCache(_UPLOADS_BYTES, lambda upload: upload.n_bytes)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def own(self) -> TrainingData:
        """The studio's data."""
        return self._own

    def synthetic(self, small: bool, seed: int) -> TrainingData:
        """The planted catalogue of this seed, made on demand; `small` has a third of the users and items."""
        config = SyntheticConfig(n_users=SMALL_USERS, n_items=SMALL_ITEMS, seed=seed) if small else SyntheticConfig(seed=seed)
        key = f"synthetic/{config.content_hash()}"
        name = f"planted catalogue (synthetic, seed {seed})"
        size = f"{config.n_users:,} users, {config.n_items:,} items"
        return TrainingData(key, name, True, size, lambda: self._made(key, config), interactions=lambda: load(config))

    def upload(
        self,
        owner: str,
        name: str,
        content: bytes,
        is_wanted: Callable[[], bool] = lambda: True,
        columns: Mapping[str, str | None] = MappingProxyType({}),
        place: str = "page",
    ) -> TrainingData:
        """Read an owner's file, in place of an earlier one; nobody else gets it. The extension of `name` gives the format.

        `place` names the field it comes from: each field of an owner has a file of its own. Errors, `is_wanted` and `columns` as for
        `FileReader.read`.
        """
        if len(content) > UPLOADS.file_bytes:
            raise ValueError(f"it has {len(content) / 2**20:.1f} MB; files of up to {MAX_UPLOAD_MB} MB are taken")
        key = f"upload/{hashlib.sha256(f'{name} {sorted(columns.items())} '.encode() + content).hexdigest()[:16]}"
        return self._kept(owner, place, key, lambda: self._reader.read(name, content, is_wanted, columns))

    def from_folder(
        self,
        owner: str,
        file: NamedFile,
        is_wanted: Callable[[], bool] = lambda: True,
        columns: Mapping[str, str | None] = MappingProxyType({}),
        place: str = "page",
    ) -> TrainingData:
        """The same for a file on this machine, see `app.training.data_folder`; read anew only after it has changed."""
        if file.n_bytes > FOLDER_FILES.file_bytes:
            most = FOLDER_FILES.file_bytes // 2**20
            raise ValueError(f"it has {file.n_bytes / 2**20:.1f} MB; files of up to {most} MB are read")
        key = f"folder/{hashlib.sha256(f'{file.stamp} {sorted(columns.items())}'.encode()).hexdigest()[:16]}"
        return self._kept(owner, place, key, lambda: self._folder_reader.read_path(file.path, file.path.name, is_wanted, columns))

    def _kept(self, owner: str, place: str, key: str, read: Callable[[], ReadFile]) -> TrainingData:
        """The data of this key if the field holds it already, else read and put there."""
        known = self.uploaded(owner, place)
        if known is not None and known.key == key:
            return known
        found = read()
        interactions, split = found.interactions, found.split
        data = TrainingData(
            key,
            found.name,
            False,
            found.facts,
            lambda: split,
            found.dropped,
            lambda: interactions,
            found.table,
            private=True,
            n_bytes=_bytes_of(split) + interactions_bytes(interactions),
        )
        self._uploads.put((owner, place), _Upload(owner, place, data, data.n_bytes))
        self._watch()
        return data

    def uploaded(self, owner: str, place: str = "page") -> TrainingData | None:
        """An owner's file of a field; None if there is none, or it was dropped for newer ones of others or because the owner had left."""
        upload = self._uploads.get((owner, place))
        return None if upload is None else upload.data

    def drop_uploads(self) -> None:
        """Drop the files of owners who have left."""
        for upload in self._uploads.values():
            if self._has_gone(upload.owner):
                self._uploads.discard((upload.owner, upload.place))
                for told in self.on_dropped:
                    told(upload.owner)

    def close(self) -> None:
        """End all reading."""
        self._closed.set()
        self._reader.close()
        self._folder_reader.close()

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is None and not self._closed.is_set():
                self._watcher = threading.Thread(target=self._look, name="sparcode-uploads", daemon=True)
                self._watcher.start()

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            self.drop_uploads()
            with self._lock:
                if not self._uploads.values():
                    self._watcher = None
                    return

    def _made(self, key: str, config: SyntheticConfig) -> Split:
        split = self._splits.get(key)
        if split is None:
            split = split_users(load(config), self._config)
            self._splits.put(key, split)
        return split


def _bytes_of(split: Split) -> int:
    parts = [split.train, *(part for held in (split.validation, split.test) for part in (held.queries, held.targets))]
    arrays = [split.item_features, *(array for part in parts for array in (part.indptr, part.items, part.features))]
    return sum(array.nbytes for array in arrays if array is not None)
