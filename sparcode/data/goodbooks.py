"""goodbooks-10k (Zajac 2017): ratings of books, from the published archive or its folder. The data has no times."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from sparcode.data.archive import FolderFiles, ZipFiles, open_files
from sparcode.data.interactions import Interactions
from sparcode.data.limits import OWN_FILES, Limits
from sparcode.data.tabular import read_table

RATINGS, BOOKS = "ratings.csv", "books.csv"
_FOLDERS = ("goodbooks-10k",)
_COLUMNS = {"user": "user_id", "item": "book_id", "rating": "rating", "title": "title"}


def is_goodbooks(source: str | Path | BinaryIO, limits: Limits = OWN_FILES) -> bool:
    """Whether an archive or folder has the two tables of goodbooks-10k; false for what is no archive."""
    try:
        with open_files(source, _FOLDERS, limits) as files:
            return RATINGS in files and BOOKS in files
    except ValueError:
        return False


def read_goodbooks(source: str | Path | BinaryIO, min_rating: float | None = None, limits: Limits = OWN_FILES) -> Interactions:
    """Read the archive (a path or an open binary file) or its folder; ratings of at least `min_rating` stars (None: all) are kept.

    A book that a user rated twice counts once. ValueError as for `sparcode.data.tabular.read_table`, or if a file is missing.
    """
    with open_files(source, _FOLDERS, limits) as files:
        ratings, books = _table(files, RATINGS), _table(files, BOOKS)
    return replace(read_table(ratings, _COLUMNS, books, min_rating, limits=limits), name="goodbooks-10k")


def _table(files: FolderFiles | ZipFiles, name: str) -> BinaryIO:
    table = io.BytesIO(b"".join(files.blocks(name)))
    table.name = name
    return table
