"""Files on the studio's own machine that its visitors may name: those in one folder that whoever started it has named.

That the server is bound to this machine alone is no reason to read files for a visitor: others may reach it through a proxy, a tunnel or
another account of the machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from sparcode.data.loading import FILE_EXTENSIONS

# Environment variable for the folder; without it no files are offered.
FOLDER_VARIABLE: Final = "SPARCODE_DATA_FOLDER"
_LISTED: Final = 12


class NamedFile(NamedTuple):
    """A file in the folder: its real path, what tells it from an earlier state of itself, and its size in bytes."""

    path: Path
    stamp: str
    n_bytes: int


def data_folder() -> Path | None:
    """The folder of files that visitors may name, without symbolic links; None where there is none. An empty variable counts as not set."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return None
    try:
        folder = Path(named).expanduser().resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return folder if folder.is_dir() else None


def named_file(folder: Path, text: str) -> NamedFile:
    """The file that a visitor names, by a path from the folder on or a whole one.

    ValueError if it is not in the folder (whether it exists elsewhere is not told), is missing, is a folder, or is of no kind that is read.
    """
    outside = f"only files in the folder {folder.name} can be read; give a path from there on, such as ratings.csv"
    try:
        path = (folder / text.strip()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"this is no path: {text.strip()[:80]!r}") from error
    if not path.is_relative_to(folder):
        raise ValueError(outside)
    shown = path.relative_to(folder).as_posix()
    kinds = ", ".join(FILE_EXTENSIONS)
    try:
        if path.is_dir():
            raise ValueError(f"{shown if path != folder else folder.name} is a folder; {_files_in(path)}")
        if path.suffix.lower() not in FILE_EXTENSIONS:
            raise ValueError(f"{shown} is of a kind that is not read; these are: {kinds}")
        if not path.exists():
            raise ValueError(f"there is no file {shown} in the folder {folder.name}")
        if not path.is_file():
            raise ValueError(f"{shown} is no ordinary file")
        if not os.access(path, os.R_OK):
            raise ValueError(f"{shown} may not be read by the studio")
        facts = path.stat()
    except OSError as error:
        raise ValueError(f"{shown} cannot be read: {error.strerror}") from error
    return NamedFile(path, f"{path} {facts.st_mtime_ns} {facts.st_size}", facts.st_size)


def _files_in(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in FILE_EXTENSIONS and path.is_file())
    if not names:
        return f"it has no files of the kinds that are read ({', '.join(FILE_EXTENSIONS)})"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"files in it: {', '.join(names[:_LISTED])}{more}"
