"""One way in: the built-in synthetic data, MovieLens, or a user's own table."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from sparcode.config import SyntheticConfig
from sparcode.data import movielens
from sparcode.data.deezer import is_release
from sparcode.data.interactions import Interactions
from sparcode.data.table_file import EXTENSIONS
from sparcode.data.tabular import ColumnMapping, read_table

ALLOWED = (
    f"'synthetic', {', '.join(repr(name) for name in movielens.DATASETS)}, the path of a MovieLens .zip or its folder, "
    f"or the path of a table ({', '.join(EXTENSIONS)})"
)


def load(
    source: str | Path | BinaryIO | SyntheticConfig | None = None,
    *,
    columns: ColumnMapping | None = None,
    items_path: str | Path | BinaryIO | None = None,
    users_path: str | Path | BinaryIO | None = None,
    min_rating: float | None = None,
    name: str | None = None,
    download: bool = False,
    accept_terms: bool = False,
) -> Interactions:
    """Load a data set.

    Parameters
    ----------
    source
        - None or ``'synthetic'``: the synthetic data with its default settings; a `SyntheticConfig`: with those.
        - ``'ml-100k'``, ``'ml-1m'``: MovieLens, from the cache of an earlier download, or downloaded now if `download` is true.
          (A folder of that name is meant by ``'./ml-100k'``.)
        - a path or an open binary file: a MovieLens ``.zip`` (told by its content) or folder, else a table by its extension.
    columns, items_path, users_path
        For tables, as in `read_table`.
    min_rating
        For MovieLens and tables: keep ratings of at least this.
    name
        File name of an open file that has none of its own.
    download, accept_terms
        Fetch MovieLens if it is not in the cache. The caller shows `sparcode.data.movielens.TERMS` and asks before setting `accept_terms`.

    Raises
    ------
    ValueError
        If the source is not one of these or cannot be read, a setting does not apply to it, or a download was not asked for or its terms
        not accepted.
    OSError
        If a download fails.
    """
    if source is None or source == "synthetic":
        source = SyntheticConfig()
    if isinstance(source, SyntheticConfig):
        _refuse("synthetic data", columns=columns, items_path=items_path, users_path=users_path, min_rating=min_rating, name=name)
        # Generating imports more than reading needs.
        from sparcode.data.synthetic import generate

        return generate(source)
    if isinstance(source, str) and source in movielens.DATASETS:
        _refuse("MovieLens", columns=columns, items_path=items_path, users_path=users_path, name=name)
        return movielens.read_movielens(_archive(source, download, accept_terms), min_rating)
    if isinstance(source, str | Path):
        if not Path(source).exists():
            raise ValueError(f"unknown data {str(source)!r}: there is no such file or folder; allowed are {ALLOWED}")
    elif not hasattr(source, "read"):
        raise ValueError(f"unknown data {source!r}; allowed are {ALLOWED}")
    if isinstance(source, str | Path) and is_release(source):
        raise ValueError(
            f"{source} is Deezer's cold-start release: its users have no histories, it comes with its own split; "
            "see sparcode.data.deezer_split"
        )
    if _is_movielens(source, name):
        own_name = None if hasattr(source, "read") else name
        _refuse("MovieLens", columns=columns, items_path=items_path, users_path=users_path, name=own_name)
        return movielens.read_movielens(source, min_rating)
    return read_table(source, columns, items_path, min_rating, name, users_path)


def _refuse(kind: str, **settings: object) -> None:
    if given := [setting for setting, value in settings.items() if value is not None]:
        raise ValueError(f"{', '.join(given)} cannot be used with {kind}")


def _archive(name: str, download: bool, accept_terms: bool) -> Path:
    if cached := movielens.cached_archive(name):
        return cached
    if not download:
        dataset = movielens.DATASETS[name]
        raise ValueError(
            f"{dataset.title} is not on this computer yet. Ask for the download (download=True, accept_terms=True; "
            f"{dataset.size_bytes / 1e6:.1f} MB from {dataset.url}), or give the path of the archive.\n{movielens.TERMS}"
        )
    return movielens.download(name, accept_terms)


def _is_movielens(source: str | Path | BinaryIO, name: str | None) -> bool:
    if isinstance(source, str | Path) and Path(source).is_dir():
        return True
    extension = Path(name or (str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "")))).suffix.lower()
    return extension not in EXTENSIONS and (extension == ".zip" or zipfile.is_zipfile(source))
