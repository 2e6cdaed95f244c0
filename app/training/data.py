"""Data for a training from scratch: the studio's, synthetic data of two sizes, or an uploaded file."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from cachetools import LRUCache

from app.jobs.byte_cache import ByteCache
from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import FILE_EXTENSIONS, load
from sparcode.data.split import Split, split_users
from sparcode.data.table_file import TableFile

UPLOAD_EXTENSIONS: Final = tuple(extension.removeprefix(".") for extension in FILE_EXTENSIONS)
MAX_UPLOAD_MB: Final = 20
# A small Parquet file may hold very many rows.
MAX_UPLOAD_ROWS: Final = 5_000_000
MAX_SYNTHETIC_SEED: Final = 2**31 - 1
SMALL_USERS: Final = 600
SMALL_ITEMS: Final = 400
_SPLIT_BYTES: Final = 256 * 2**20
_KEPT_UPLOADS: Final = 16


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
    """

    key: str
    name: str
    synthetic: bool
    facts: str
    split: Callable[[], Split]
    dropped: Mapping[str, int] = MappingProxyType({})


class DataShelf:
    """Data sets by name, cached while they fit: the studio's data, and others split by `config`. Safe to share between threads."""

    def __init__(self, interactions: Interactions, split: Split, config: SplitConfig) -> None:
        self._config = config
        self._own = TrainingData(
            "studio", interactions.name, interactions.synthetic, facts(interactions), lambda: split, _dropped(interactions, split)
        )
        self._splits: ByteCache[Split] = ByteCache(_SPLIT_BYTES, _bytes_of)
        self._lock = threading.Lock()
        self._uploads: LRUCache[str, TrainingData] = LRUCache(_KEPT_UPLOADS)

    def own(self) -> TrainingData:
        """The studio's data."""
        return self._own

    def synthetic(self, small: bool, seed: int) -> TrainingData:
        """The planted catalogue of this seed, made on demand; `small` has a third of the users and items."""
        config = SyntheticConfig(n_users=SMALL_USERS, n_items=SMALL_ITEMS, seed=seed) if small else SyntheticConfig(seed=seed)
        key = f"synthetic/{config.content_hash()}"
        name = f"planted catalogue (synthetic, seed {seed})"
        size = f"{config.n_users:,} users, {config.n_items:,} items"
        return TrainingData(key, name, True, size, lambda: self._made(key, config))

    def upload(self, owner: str, name: str, content: bytes) -> TrainingData:
        """Read an owner's file, in place of an earlier one; nobody else gets it. The extension of `name` gives the format.

        ValueError if the file cannot be used; the message says why.
        """
        if len(content) > MAX_UPLOAD_MB * 2**20:
            raise ValueError(f"it has {len(content) / 2**20:.1f} MB; files of up to {MAX_UPLOAD_MB} MB are taken")
        key = f"upload/{hashlib.sha256(name.encode() + content).hexdigest()[:16]}"
        known = self.uploaded(owner)
        if known is not None and known.key == key:
            return known
        is_archive = name.lower().endswith(".zip")
        if is_archive and not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError(f"{name} is not a ZIP archive, or it is damaged")
        if name.lower().endswith(".parquet"):
            n_rows = TableFile(io.BytesIO(content), name).n_rows
            if n_rows is not None and n_rows > MAX_UPLOAD_ROWS:
                raise ValueError(f"it has {n_rows:,} rows; up to {MAX_UPLOAD_ROWS:,} are taken")
        # `load` refuses a name for an archive.
        interactions = load(io.BytesIO(content), name=None if is_archive else name)
        split = split_users(interactions, self._config)
        shown = name if is_archive else interactions.name
        data = TrainingData(key, shown, False, facts(interactions), lambda: split, _dropped(interactions, split))
        with self._lock:
            self._uploads[owner] = data
        return data

    def uploaded(self, owner: str) -> TrainingData | None:
        """An owner's file; None if there is none, or it was dropped for newer ones of others."""
        with self._lock:
            return self._uploads.get(owner)

    def _made(self, key: str, config: SyntheticConfig) -> Split:
        split = self._splits.get(key)
        if split is None:
            split = split_users(load(config), self._config)
            self._splits.put(key, split)
        return split


def facts(interactions: Interactions) -> str:
    """Sizes in words."""
    return f"{interactions.n_users:,} users, {interactions.n_items:,} items, {interactions.n_interactions:,} interactions"


def _dropped(interactions: Interactions, split: Split) -> dict[str, int]:
    return {**interactions.dropped, **split.dropped}


def _bytes_of(split: Split) -> int:
    held_out = [part for held in (split.validation, split.test) for part in (held.queries, held.targets)]
    return sum(part.indptr.nbytes + part.items.nbytes for part in (split.train, *held_out))
