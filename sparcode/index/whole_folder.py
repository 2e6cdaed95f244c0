"""A folder that appears whole or not at all, whatever happens to the process that writes it.

It is first written beside its place, in the hidden folder ``.NAME.saving-XXXXXXXX``, on which the writer holds a lock (`flock`) that the
system releases when the process ends. A hidden folder whose lock is free is a leftover and removed; one whose lock is held, or on a file
system without locks, is not touched.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_NEW, _OLD = "new", "old"


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder, in place of one that is there; folders above it are made.

    `fill` writes the files into an empty folder; if it fails, nothing has changed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _hidden_folder(folder) as hidden:
        new, old = hidden / _NEW, hidden / _OLD
        new.mkdir()
        fill(new)
        if folder.exists():
            # A folder cannot replace one that has files.
            os.replace(folder, old)
        try:
            os.replace(new, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise


def clear_leftovers(folder: Path) -> None:
    """Remove what killed processes left beside a folder, and put back a folder that one had moved aside; logs a warning about each."""
    name = re.compile(rf"{re.escape(_prefix(folder))}\w{{8}}")
    try:
        leftovers = [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]
    except OSError:
        return
    for hidden in leftovers:
        # Locked by its writer, removed by another process just now, or not permitted.
        with suppress(OSError):
            _clear(hidden, folder)


def _clear(hidden: Path, folder: Path) -> None:
    descriptor = os.open(hidden, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (hidden / _OLD).exists() and not folder.exists():
            os.replace(hidden / _OLD, folder)
            logger.warning("%s: a process was killed while it replaced this folder; the earlier one is back", folder)
        shutil.rmtree(hidden)
        logger.warning("%s: removed %s, left by a process that was killed while it wrote", folder, hidden.name)
    finally:
        os.close(descriptor)


@contextmanager
def _hidden_folder(folder: Path) -> Iterator[Path]:
    hidden, descriptor = _locked_folder(folder)
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(folder: Path) -> tuple[Path, int]:
    while True:
        hidden = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
        # Until the lock is held another process may take the new folder for a leftover; then it is gone, and the next one is made.
        with suppress(FileNotFoundError):
            descriptor = os.open(hidden, os.O_RDONLY)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if hidden.exists():
                return hidden, descriptor
            os.close(descriptor)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.saving-"
