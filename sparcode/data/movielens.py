"""MovieLens 100K, 1M and 10M in their publisher's own formats, from a local archive or folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from sparcode.data.archive import FolderFiles, ZipFiles, open_files
from sparcode.data.interactions import Interactions
from sparcode.data.limits import OWN_FILES, Limits
from sparcode.data.lines import captured, joined, matching_lines, whole_numbers
from sparcode.data.published import PUBLISHED

# There are 19.
MAX_GENRES = 500
# The age groups of MovieLens 1M, each named by its youngest age (1: under 18); the ages of 100K are put into the same ones.
AGE_GROUPS = (1, 18, 25, 35, 45, 50, 56)
USER_COLUMNS = ["user_id", "gender", "age", "occupation"]
_RATING_KINDS = {"user_id": pa.int64(), "item_id": pa.int64(), "rating": pa.float32(), "timestamp": pa.int64()}


class Dataset(NamedTuple):
    """How the files of a MovieLens data set are laid out; where it comes from is in `sparcode.data.published`.

    `folder` is the archive's top folder, `users` the file of user features (None: none), `marker` a file that tells apart sets with the
    same ratings file.
    """

    title: str
    ratings: str
    items: str
    separator: str
    folder: str
    encoding: str = "latin-1"
    half_stars: bool = False
    users: str | None = None
    marker: str | None = None


DATASETS = {
    "ml-100k": Dataset(
        title=PUBLISHED["ml-100k"].title,
        ratings="u.data",
        items="u.item",
        users="u.user",
        separator="\t",
        folder="ml-100k",
    ),
    "ml-1m": Dataset(
        title=PUBLISHED["ml-1m"].title,
        ratings="ratings.dat",
        items="movies.dat",
        users="users.dat",
        separator="::",
        folder="ml-1m",
    ),
    "ml-10m": Dataset(
        title=PUBLISHED["ml-10m"].title,
        ratings="ratings.dat",
        items="movies.dat",
        separator="::",
        folder="ml-10M100K",
        encoding="utf-8",
        half_stars=True,
        marker="tags.dat",
    ),
}


def read_movielens(source: str | Path | BinaryIO, min_rating: float | None = None, limits: Limits = OWN_FILES) -> Interactions:
    """Read MovieLens 100K, 1M or 10M told by its files, from the published ``.zip`` (a path or an open binary file) or folder.

    Only ratings of at least `min_rating` stars (1 to 5; None: all) are kept. Malformed lines are counted in `dropped`.
    Users of 100K and 1M have a gender, an age group and an occupation.

    ValueError if the source is no such archive or folder, a file is missing, damaged or beyond `limits`, more than 1% of a file's lines
    are malformed, or nothing is left.
    """
    if min_rating is not None and not 1 <= min_rating <= 5:
        raise ValueError(f"min_rating must lie in [1, 5] (stars); got {min_rating}")
    dropped: dict[str, int] = {}
    with open_files(source, tuple(dataset.folder for dataset in DATASETS.values()), limits) as files:
        dataset = _detect(files)
        ratings = _read_ratings(files, dataset, dropped)
        items = _read_items_100k(files, dropped) if dataset.items == "u.item" else _read_movies(files, dataset.encoding, dropped)
        users = None
        if dataset.users is not None and dataset.users in files:
            users = (_read_users_100k if dataset.users == "u.user" else _read_users_1m)(files, dropped)
    if min_rating is not None:
        n_rows = len(ratings)
        ratings = ratings[ratings["rating"] >= min_rating]
        if n_rows > len(ratings):
            dropped[f"ratings below {min_rating:g}"] = n_rows - len(ratings)
    return Interactions.from_frame(ratings, dataset.title, items=items, dropped=dropped, users=users)


def holds_ratings(folder: Path) -> bool:
    """Whether a folder has the ratings of one of the data sets."""
    with open_files(folder, tuple(dataset.folder for dataset in DATASETS.values()), OWN_FILES) as files:
        return any(dataset.ratings in files for dataset in DATASETS.values())


def _detect(files: FolderFiles | ZipFiles) -> Dataset:
    found = [dataset for dataset in DATASETS.values() if dataset.ratings in files]
    if len({dataset.ratings for dataset in found}) != 1:
        wanted = " or ".join(f"{dataset.ratings} ({dataset.title})" for dataset in DATASETS.values())
        raise ValueError(f"{files.label}: looked for {wanted}; found {'both' if found else 'neither'}")
    marked = [dataset for dataset in found if dataset.marker is not None and dataset.marker in files]
    return marked[0] if marked else next(dataset for dataset in found if dataset.marker is None)


def _read_ratings(files: FolderFiles | ZipFiles, dataset: Dataset, dropped: dict[str, int]) -> pd.DataFrame:
    stars = r"(?:[1-5]|[0-4]\.5|[1-5]\.0)" if dataset.half_stars else "[1-5]"
    pattern = dataset.separator.join([r"\d{1,18}", r"\d{1,18}", stars, r"\d{1,18}"])
    parts = [_numbers(lines, dataset.separator) for lines in _lines(files, dataset.ratings, pattern, dropped)]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=kind.to_pandas_dtype()) for name, kind in _RATING_KINDS.items()})
    # A column at a time, each given free once it is joined.
    return pd.DataFrame({name: np.concatenate([part.pop(name) for part in parts]) for name in _RATING_KINDS}, copy=False)


def _numbers(lines: pa.BinaryArray, separator: str) -> dict[str, np.ndarray]:
    """Columns of well-formed rating lines."""
    text = joined(lines).replace(separator.encode(), b"\t")
    table = pa.csv.read_csv(
        pa.BufferReader(text),
        read_options=pa.csv.ReadOptions(use_threads=False, column_names=list(_RATING_KINDS), block_size=max(len(text), 1024)),
        parse_options=pa.csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pa.csv.ConvertOptions(column_types=_RATING_KINDS),
    )
    return {name: table[name].to_numpy() for name in _RATING_KINDS}


def _read_genres(files: FolderFiles | ZipFiles) -> list[str]:
    raw = b"".join(files.blocks("u.genre"))
    if (n_lines := raw.count(b"\n")) > MAX_GENRES:
        raise ValueError(f"u.genre has {n_lines:,} lines; at most {MAX_GENRES} are read")
    rows = [line.rsplit("|", 1) for line in raw.decode("latin-1").splitlines() if line.strip()]
    if not rows or any(len(row) != 2 or row[1] != str(index) for index, row in enumerate(rows)):
        raise ValueError("u.genre: every line must be name|number, numbered from 0")
    return [row[0] for row in rows]


def _read_items_100k(files: FolderFiles | ZipFiles, dropped: dict[str, int]) -> pd.DataFrame:
    genres = _read_genres(files)
    # id | title | release date | video release date | address | one 0/1 flag per genre
    pattern = r"(?P<id>\d{1,18})\|(?P<title>[^|]+)\|[^|]*\|[^|]*\|[^|]*(?P<flags>(?:\|[01]){N})".replace("N", str(len(genres)))
    rows: list[tuple[int, str, str]] = []
    for lines in _lines(files, "u.item", pattern, dropped):
        found = captured(lines, pattern)
        for item_id, title, flags in zip(whole_numbers(found["id"]), _texts(found["title"]), found["flags"].to_pylist(), strict=True):
            names = [genre for genre, flag in zip(genres, flags[1::2], strict=True) if flag == ord("1")]
            rows.append((int(item_id), title, "|".join(names)))
    return pd.DataFrame(rows, columns=["item_id", "title", "genres"])


def _read_movies(files: FolderFiles | ZipFiles, encoding: str, dropped: dict[str, int]) -> pd.DataFrame:
    pattern = r"(?P<id>\d{1,18})::(?P<title>.+)::(?P<genres>[^:]*)"
    rows: list[tuple[int, str, str]] = []
    for lines in _lines(files, "movies.dat", pattern, dropped):
        found = captured(lines, pattern)
        rows += zip(whole_numbers(found["id"]).tolist(), _texts(found["title"], encoding), _texts(found["genres"], encoding), strict=True)
    return pd.DataFrame(rows, columns=["item_id", "title", "genres"])


def _read_users_100k(files: FolderFiles | ZipFiles, dropped: dict[str, int]) -> pd.DataFrame:
    # id | age | gender | occupation | zip code
    pattern = r"(?P<id>\d{1,18})\|(?P<age>\d{1,3})\|(?P<gender>[A-Z])\|(?P<occupation>[^|]+)\|[^|]*"
    rows: list[tuple[int, str, str, str]] = []
    for lines in _lines(files, "u.user", pattern, dropped):
        found = captured(lines, pattern)
        place = np.searchsorted(AGE_GROUPS, whole_numbers(found["age"]), side="right") - 1
        groups = [str(AGE_GROUPS[group]) for group in np.maximum(place, 0)]
        rows += zip(whole_numbers(found["id"]).tolist(), _texts(found["gender"]), groups, _texts(found["occupation"]), strict=True)
    return pd.DataFrame(rows, columns=USER_COLUMNS)


def _read_users_1m(files: FolderFiles | ZipFiles, dropped: dict[str, int]) -> pd.DataFrame:
    # id :: gender :: age group :: occupation :: zip code
    pattern = r"(?P<id>\d{1,18})::(?P<gender>[A-Z])::(?P<age>\d{1,3})::(?P<occupation>\d{1,3})::.*"
    rows: list[tuple[int, str, str, str]] = []
    for lines in _lines(files, "users.dat", pattern, dropped):
        found = captured(lines, pattern)
        ids, ages, occupations = (whole_numbers(found[name]).tolist() for name in ("id", "age", "occupation"))
        rows += zip(ids, _texts(found["gender"]), map(str, ages), map(str, occupations), strict=True)
    return pd.DataFrame(rows, columns=USER_COLUMNS)


def _lines(files: FolderFiles | ZipFiles, member: str, pattern: str, dropped: dict[str, int]) -> Iterator[pa.BinaryArray]:
    return matching_lines(files.blocks(member), pattern, member, files.limits, dropped)


def _texts(cells: pa.BinaryArray, encoding: str = "latin-1") -> list[str]:
    return [cell.decode(encoding, errors="replace").strip() for cell in cells.to_pylist()]
