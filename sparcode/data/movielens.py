"""MovieLens 100K, 1M and 10M in their publisher's own formats, from a local archive or folder, or downloaded on request."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pooch

from sparcode.data.archive import FolderFiles, ZipFiles, open_files
from sparcode.data.interactions import Interactions
from sparcode.data.table_file import MAX_MALFORMED_SHARE

TERMS = """The MovieLens data sets belong to GroupLens (University of Minnesota), who lend them for research under these terms:
- use them for research; do not suggest that the university or GroupLens endorses you or your results;
- do not pass the data on to others without separate permission;
- no commercial or revenue-bearing use without permission from GroupLens;
- cite F. Maxwell Harper and Joseph A. Konstan (2015), The MovieLens Datasets: History and Context,
  ACM Transactions on Interactive Intelligent Systems 5(4), article 19, doi:10.1145/2827872.
The README inside the archive holds the full and binding text."""

# The largest file of these archives is 265 MB; anything far beyond that is another data set or a decompression bomb.
MAX_FILE_BYTES = 512 * 2**20
DOWNLOAD_TIMEOUT_SECONDS = 30
# The age groups of MovieLens 1M, each named by its youngest age (1: under 18); the ages of 100K are put into the same ones.
AGE_GROUPS = (1, 18, 25, 35, 45, 50, 56)
USER_COLUMNS = ["user_id", "gender", "age", "occupation"]


class Dataset(NamedTuple):
    """Where a MovieLens data set comes from and how its files are laid out.

    `folder` is the archive's top folder, `users` the file of user features (None: none), `marker` a file that tells apart sets with the
    same ratings file.
    """

    title: str
    url: str
    checksum: str
    size_bytes: int
    ratings: str
    items: str
    separator: bytes
    folder: str
    encoding: str = "latin-1"
    half_stars: bool = False
    users: str | None = None
    marker: str | None = None

    @property
    def address(self) -> str:
        """Size and URL of the download, in words."""
        return f"{self.size_bytes / 1e6:.1f} MB from {self.url}"


DATASETS = {
    "ml-100k": Dataset(
        title="MovieLens 100K",
        url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        checksum="md5:0e33842e24a9c977be4e0107933c0723",
        size_bytes=4_924_029,
        ratings="u.data",
        items="u.item",
        users="u.user",
        separator=b"\t",
        folder="ml-100k",
    ),
    "ml-1m": Dataset(
        title="MovieLens 1M",
        url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        checksum="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        size_bytes=5_917_549,
        ratings="ratings.dat",
        items="movies.dat",
        users="users.dat",
        separator=b"::",
        folder="ml-1m",
    ),
    "ml-10m": Dataset(
        title="MovieLens 10M",
        url="https://files.grouplens.org/datasets/movielens/ml-10m.zip",
        checksum="md5:ce571fd55effeba0271552578f2648bd",
        size_bytes=65_566_137,
        ratings="ratings.dat",
        items="movies.dat",
        separator=b"::",
        folder="ml-10M100K",
        encoding="utf-8",
        half_stars=True,
        marker="tags.dat",
    ),
}


def read_movielens(source: str | Path | BinaryIO, min_rating: float | None = None) -> Interactions:
    """Read MovieLens 100K, 1M or 10M told by its files, from the published ``.zip`` (a path or an open binary file) or folder.

    Only ratings of at least `min_rating` stars (1 to 5; None: all) are kept. Malformed lines are counted in `dropped`.
    Users of 100K and 1M have a gender, an age group and an occupation.

    ValueError if the source is no such archive or folder, a file is missing, damaged or too large, more than 1% of a file's lines are
    malformed, or nothing is left.
    """
    if min_rating is not None and not 1 <= min_rating <= 5:
        raise ValueError(f"min_rating must lie in [1, 5] (stars); got {min_rating}")
    dropped: dict[str, int] = {}
    with open_files(source, subfolders=tuple(dataset.folder for dataset in DATASETS.values()), max_bytes=MAX_FILE_BYTES) as files:
        dataset = _detect(files)
        ratings = _parse_ratings(files.read(dataset.ratings), dataset, dropped)
        if dataset.items == "u.item":
            items = _parse_items_100k(files.read(dataset.items), _parse_genres(files.read("u.genre")), dropped)
        else:
            items = _parse_movies(files.read(dataset.items), dataset.encoding, dropped)
        users = None
        if dataset.users is not None and dataset.users in files:
            parse = _parse_users_100k if dataset.users == "u.user" else _parse_users_1m
            users = parse(files.read(dataset.users), dropped)
    if min_rating is not None:
        n_rows = len(ratings)
        ratings = ratings[ratings["rating"] >= min_rating]
        if n_rows > len(ratings):
            dropped[f"ratings below {min_rating:g}"] = n_rows - len(ratings)
    return Interactions.from_frame(ratings, dataset.title, items=items, dropped=dropped, users=users)


def cached_archive(name: str) -> Path | None:
    """The archive that `download` fetched earlier, or None; a ValueError for a name that is not in `DATASETS`."""
    _dataset(name)
    path = Path(pooch.os_cache("sparcode")) / f"{name}.zip"
    return path if path.is_file() else None


def download(
    name: str,
    accept_terms: bool = False,
    *,
    url: str | None = None,
    expected_checksum: str | None = None,
    progress: bool = True,
) -> Path:
    """Fetch an archive, named by a key of `DATASETS`, into the user's cache folder unless it is there already.

    ValueError if the name or checksum is wrong or the terms (in the message) are not accepted; OSError if the download fails.

    Parameters
    ----------
    accept_terms
        Whether the user has read `TERMS` and agrees; show them first.
    url, expected_checksum
        Another address, and the ``algorithm:hexadecimal digits`` of its file; by default the publisher's.
    """
    dataset = _dataset(name)
    if not accept_terms:
        raise ValueError(f"{dataset.title} is only downloaded after its terms are accepted (accept_terms=True).\n{TERMS}")
    address = url or dataset.url
    try:
        path = pooch.retrieve(
            url=address,
            known_hash=expected_checksum or dataset.checksum,
            fname=f"{name}.zip",
            path=pooch.os_cache("sparcode"),
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=DOWNLOAD_TIMEOUT_SECONDS),
        )
    except OSError as error:  # requests' own errors are OSErrors too
        raise OSError(f"could not download {dataset.title} from {address}: {error}") from error
    except ValueError as error:
        raise ValueError(f"the file at {address} is not the expected {dataset.title} archive: {error}") from error
    return Path(path)


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise ValueError(f"unknown MovieLens data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def _detect(files: FolderFiles | ZipFiles) -> Dataset:
    found = [dataset for dataset in DATASETS.values() if dataset.ratings in files]
    if len({dataset.ratings for dataset in found}) != 1:
        wanted = " or ".join(f"{dataset.ratings} ({dataset.title})" for dataset in DATASETS.values())
        raise ValueError(f"{files.label}: looked for {wanted}; found {'both' if found else 'neither'}")
    marked = [dataset for dataset in found if dataset.marker is not None and dataset.marker in files]
    return marked[0] if marked else next(dataset for dataset in found if dataset.marker is None)


def _parse_ratings(raw: bytes, dataset: Dataset, dropped: dict[str, int]) -> pd.DataFrame:
    table = raw.replace(dataset.separator, b"\t")
    n_lines = table.count(b"\n") + (not table.endswith(b"\n"))
    # The C parser refuses short lines but cuts surplus fields off; the number of separators gives those away.
    if table.count(b"\t") == 3 * n_lines == raw.count(dataset.separator):
        try:
            frame = _ratings_frame(table, dataset.half_stars)
        except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
            frame = None
        if frame is not None and _are_stars(frame["rating"], dataset.half_stars) and frame.min().min() >= 0:
            return frame
    stars = rb"(?:[1-5]|[0-4]\.5|[1-5]\.0)" if dataset.half_stars else rb"[1-5]"
    pattern = dataset.separator.join([rb"\d{1,18}", rb"\d{1,18}", stars, rb"\d{1,12}"])
    lines = _matching_lines(raw, re.compile(pattern), dataset.ratings, dropped)
    return _ratings_frame(b"\n".join(match[0] for match in lines).replace(dataset.separator, b"\t"), dataset.half_stars)


def _are_stars(ratings: pd.Series, half_stars: bool) -> bool:
    return bool(ratings.between(0.5 if half_stars else 1, 5).all() and (2 * ratings % 1 == 0).all())


def _ratings_frame(table: bytes, half_stars: bool) -> pd.DataFrame:
    names = ["user_id", "item_id", "rating", "timestamp"]
    if not table.strip():
        return pd.DataFrame({name: pd.Series(dtype="int64") for name in names})
    kinds = dict.fromkeys(names, "int64") | ({"rating": "float64"} if half_stars else {})
    return pd.read_csv(io.BytesIO(table), sep="\t", names=names, dtype=kinds, index_col=False, na_filter=False, quoting=3, engine="c")


def _parse_genres(raw: bytes) -> list[str]:
    rows = [line.rsplit("|", 1) for line in raw.decode("latin-1").splitlines() if line.strip()]
    if not rows or any(len(row) != 2 or row[1] != str(index) for index, row in enumerate(rows)):
        raise ValueError("u.genre: every line must be name|number, numbered from 0")
    return [row[0] for row in rows]


def _parse_items_100k(raw: bytes, genres: list[str], dropped: dict[str, int]) -> pd.DataFrame:
    # id | title | release date | video release date | address | one 0/1 flag per genre
    pattern = re.compile(rb"(\d{1,18})\|([^|]+)\|[^|]*\|[^|]*\|[^|]*((?:\|[01]){%d})" % len(genres))
    rows = []
    for match in _matching_lines(raw, pattern, "u.item", dropped):
        flags = match[3][1::2]
        names = [genre for genre, flag in zip(genres, flags, strict=True) if flag == ord("1")]
        rows.append((int(match[1]), match[2].decode("latin-1").strip(), "|".join(names)))
    return pd.DataFrame(rows, columns=["item_id", "title", "genres"])


def _parse_movies(raw: bytes, encoding: str, dropped: dict[str, int]) -> pd.DataFrame:
    pattern = re.compile(rb"(\d{1,18})::(.+)::([^:]*)")
    rows = [
        (int(match[1]), *(match[group].decode(encoding, errors="replace").strip() for group in (2, 3)))
        for match in _matching_lines(raw, pattern, "movies.dat", dropped)
    ]
    return pd.DataFrame(rows, columns=["item_id", "title", "genres"])


def _parse_users_100k(raw: bytes, dropped: dict[str, int]) -> pd.DataFrame:
    # id | age | gender | occupation | zip code
    pattern = re.compile(rb"(\d{1,18})\|(\d{1,3})\|([A-Z])\|([^|]+)\|[^|]*")
    rows = []
    for match in _matching_lines(raw, pattern, "u.user", dropped):
        group = AGE_GROUPS[max(0, int(np.searchsorted(AGE_GROUPS, int(match[2]), side="right")) - 1)]
        rows.append((int(match[1]), match[3].decode("ascii"), str(group), match[4].decode("latin-1").strip()))
    return pd.DataFrame(rows, columns=USER_COLUMNS)


def _parse_users_1m(raw: bytes, dropped: dict[str, int]) -> pd.DataFrame:
    # id :: gender :: age group :: occupation :: zip code
    pattern = re.compile(rb"(\d{1,18})::([A-Z])::(\d{1,3})::(\d{1,3})::.*")
    rows = [
        (int(match[1]), match[2].decode("ascii"), str(int(match[3])), str(int(match[4])))
        for match in _matching_lines(raw, pattern, "users.dat", dropped)
    ]
    return pd.DataFrame(rows, columns=USER_COLUMNS)


def _matching_lines(raw: bytes, pattern: re.Pattern[bytes], member: str, dropped: dict[str, int]) -> list[re.Match[bytes]]:
    """Matches of every line of a file; others are counted in `dropped`, a ValueError where they are more than 1%."""
    matches, n_lines, n_bad, first_bad = [], 0, 0, 0
    for number, line in enumerate(raw.split(b"\n"), start=1):
        text = line.rstrip(b"\r")
        if not text:
            continue
        n_lines += 1
        if match := pattern.fullmatch(text):
            matches.append(match)
        else:
            n_bad += 1
            first_bad = first_bad or number
    if n_bad > MAX_MALFORMED_SHARE * n_lines:
        share = f"{MAX_MALFORMED_SHARE:.0%}"
        raise ValueError(f"{member}: {n_bad:,} of {n_lines:,} lines are malformed (at most {share} may be), the first at line {first_bad}")
    if n_bad:
        dropped[f"malformed lines in {member}"] = n_bad
    return matches
