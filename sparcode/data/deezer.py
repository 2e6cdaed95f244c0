"""Deezer's user cold-start release (Briand et al., KDD 2021, arXiv 2106.03819): users known by features alone, songs by vectors.

The folder holds ``song_embeddings.parquet``, ``user_embeddings.parquet`` (vectors as JSON text) and
``user_features_{train,validation,test}_{svd,mf}.parquet``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from sparcode.data.interactions import Histories, offsets
from sparcode.data.limits import OWN_FILES, Limits, shown_names
from sparcode.data.parquet_file import ParquetFile

PARTS = ("train", "validation", "test")
EMBEDDINGS = ("svd", "mf")
SONGS, USERS = "song_embeddings.parquet", "user_embeddings.parquet"
_TARGETS = "d1d30_songs"
_UNKNOWN = "songs heard that have no vector"


class DeezerUsers(NamedTuple):
    """One part of the users, in the order of `user_index`, (n,) int64.

    `features` are (n, F) float32, every column after the first two, 0 where missing (as in the authors' code). `targets` are the songs
    heard in the 30 days after registration, each once; possibly none.
    """

    user_index: np.ndarray
    features: np.ndarray
    targets: Histories


class DeezerData(NamedTuple):
    """The release for one kind of embedding; E is 128 (TT-SVD) or 256 (UT-ALS).

    Attributes
    ----------
    song_index
        (S,) int64, the songs' published numbers; other fields refer to songs by their position in it.
    song_vectors, train_vectors
        (S, E) and (n_train, E) float32; training users in the order of `train`.
    feature_names
        F names, the columns of every part's features.
    dropped
        Reason -> number of entries left out.
    """

    song_index: np.ndarray
    song_vectors: np.ndarray
    train: DeezerUsers
    validation: DeezerUsers
    test: DeezerUsers
    train_vectors: np.ndarray
    feature_names: list[str]
    dropped: dict[str, int]


def read_deezer(folder: str | Path, embedding: Literal["svd", "mf"] = "svd", limits: Limits = OWN_FILES) -> DeezerData:
    """Read a folder of the release, with the vectors and features of TT-SVD or UT-ALS (``mf``).

    ValueError, with file and column, if one is missing, empty, beyond `limits` or of another type, the parts have different
    features, a vector is not a list of as many finite numbers as the others, an index is repeated, or a training user has no vector.
    """
    if embedding not in EMBEDDINGS:
        raise ValueError(f"embedding must be 'svd' or 'mf'; got {embedding!r}")
    folder = Path(folder)
    song_index, song_vectors = _vectors(folder / SONGS, "song_index", f"features_{embedding}", limits)
    user_index, user_vectors = _vectors(folder / USERS, "user_index", f"{embedding}_embeddings", limits)
    dropped: dict[str, int] = {}
    paths = {part: folder / f"user_features_{part}_{embedding}.parquet" for part in PARTS}
    names = _feature_names(paths, limits)
    parts = {part: _users(path, names, song_index, dropped, limits) for part, path in paths.items()}
    place = np.searchsorted(user_index, parts["train"].user_index)
    found = np.take(user_index, place, mode="clip") == parts["train"].user_index
    if not found.all():
        missing = parts["train"].user_index[~found][0]
        raise ValueError(f"{folder / USERS} has no vector for {(~found).sum()} training users, the first is {missing}")
    return DeezerData(song_index, song_vectors, **parts, train_vectors=user_vectors[place], feature_names=names, dropped=dropped)


def is_release(folder: str | Path) -> bool:
    """Whether a folder holds the release's files, by their published names."""
    features = [f"user_features_{part}_{embedding}.parquet" for part in PARTS for embedding in EMBEDDINGS]
    return any((Path(folder) / name).is_file() for name in (SONGS, USERS, *features))


def _open(path: Path, columns: list[str], limits: Limits) -> ParquetFile:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; the release's files are needed under their published names")
    file = ParquetFile(path, str(path), limits)
    if missing := [column for column in columns if column not in file.columns]:
        raise ValueError(f"{path} lacks the column(s) {missing}; it has {shown_names(file.columns)}")
    if file.n_rows == 0:
        raise ValueError(f"{path} has no rows")
    return file


def _vectors(path: Path, index: str, column: str, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Indices in order, and their vectors."""
    table = _open(path, [index, column], limits).read([index, column])
    numbers = _whole_numbers(table[index], path, index)
    order = np.argsort(numbers, kind="stable")
    if (repeats := numbers[order][1:][np.diff(numbers[order]) == 0]).size:
        raise ValueError(f"{path}: {index} {repeats[0]} stands twice")
    rows = []
    for number, value in zip(numbers, table[column].to_pylist(), strict=True):
        try:
            row = np.asarray(json.loads(value) if isinstance(value, str | bytes) else value, dtype=np.float32)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path}: {column} of {index} {number} is no list of numbers") from error
        if row.ndim != 1 or (rows and len(row) != len(rows[0])) or not np.isfinite(row).all():
            expected = f"{len(rows[0])} finite numbers" if rows else "a list of finite numbers"
            raise ValueError(f"{path}: {column} of {index} {number} must be {expected}; got shape {row.shape}")
        rows.append(row)
    return numbers[order], np.stack(rows)[order]


def _whole_numbers(column: pa.ChunkedArray, path: Path, name: str) -> np.ndarray:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise ValueError(f"{path}: {name} must hold an integer in every row; got {column.type} with {column.null_count} empty")
    return column.to_numpy().astype(np.int64)


def _feature_names(paths: dict[str, Path], limits: Limits) -> list[str]:
    """Names of the features, which all parts must have in the same order."""
    heads = ("user_index", _TARGETS)
    names = {path: [name for name in _open(path, list(heads), limits).columns if name not in heads] for path in paths.values()}
    (first, wanted), *others = names.items()
    if not wanted:
        raise ValueError(f"{first} has no features beside {' and '.join(heads)}")
    for path, given in others:
        if given != wanted:
            pairs = zip([*wanted, None], [*given, None], strict=False)
            place, (ours, theirs) = next((place, pair) for place, pair in enumerate(pairs) if pair[0] != pair[1])
            raise ValueError(
                f"{path}: feature {place + 1} is {theirs!r}, but {ours!r} in {first.name}; the parts must have the same features"
            )
    return wanted


def _users(path: Path, names: list[str], song_index: np.ndarray, dropped: dict[str, int], limits: Limits) -> DeezerUsers:
    file = _open(path, ["user_index", _TARGETS], limits)
    features = np.empty((file.n_rows, len(names)), dtype=np.float32)
    head = file.read(["user_index", _TARGETS])
    user_index = _whole_numbers(head["user_index"], path, "user_index")
    kind = head[_TARGETS].type
    if not (pa.types.is_list(kind) and pa.types.is_integer(kind.value_type)):
        raise ValueError(f"{path}: {_TARGETS} must hold lists of integers; got {kind}")
    # Column by column: 70,000 users of 5,139 float64 features would not fit beside their copy.
    for place, name in enumerate(names):
        column = file.read([name]).column(0)
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise ValueError(f"{path}: {name} must hold numbers; got {column.type}")
        features[:, place] = column.to_pandas().astype("float32").fillna(0).to_numpy(np.float32)
        if not np.isfinite(features[:, place]).all():
            raise ValueError(f"{path}: {name} holds numbers that are not finite")
    order = np.argsort(user_index, kind="stable")
    if (repeats := user_index[order][1:][np.diff(user_index[order]) == 0]).size:
        raise ValueError(f"{path}: user_index {repeats[0]} stands twice")
    rows, unknown = [], 0
    songs_of = head[_TARGETS].to_pylist()
    for row in order:
        heard = np.unique(np.asarray([song for song in songs_of[row] or [] if song is not None], dtype=np.int64))
        place = np.searchsorted(song_index, heard)
        known = np.take(song_index, place, mode="clip") == heard
        unknown += int((~known).sum())
        rows.append(place[known])
    if unknown:
        dropped[_UNKNOWN] = dropped.get(_UNKNOWN, 0) + unknown
    targets = Histories(offsets([len(row) for row in rows]), np.concatenate(rows).astype(np.int32), len(song_index))
    return DeezerUsers(user_index[order], features[order], targets)
