"""A folder that appears whole or not at all, whatever happens to the process that writes it.

It is first written beside its place, in the hidden folder ``.NAME.saving-XXXXXXXX``, on which the writer holds a lock (`flock`) that the
system releases when the process ends. A hidden folder whose lock is free is a leftover and removed; one whose lock is held, or on a file
system without locks, is not touched. A symbolic link is never written to: replacing it and replacing its target would both surprise.

What takes long to prepare has a second hidden folder, ``.NAME.checkpoint``, which is kept when its process ends (`reserved`). What is
needed for a moment alone goes to a hidden folder among the temporary files (`passing_folder`).
"""

from __future__ import annotations

import errno
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

_NEW, _OLD, _GONE = "new", "old", "gone"
# Enough to notice a full disk or quota, little enough to be written at once.
_TRIED_BYTES = 1 << 20


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder, in place of one that is there; folders above it are made.

    `fill` writes the files into an empty folder; if it fails, nothing has changed. ValueError if a symbolic link is there.
    """
    refuse_link(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(folder) as hidden:
        new, old = hidden / _NEW, hidden / _OLD
        new.mkdir()
        fill(new)
        # What is on the disk survives a power cut; the name comes after the files.
        for path in (*new.rglob("*"), new):
            _sync(path)
        if folder.exists():
            # A folder cannot replace one that has files.
            os.replace(folder, old)
        try:
            os.replace(new, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise
        _sync(folder.parent)


def remove_whole(folder: Path) -> None:
    """Remove a folder at once: whoever looks meanwhile sees all of it or nothing. ValueError if a symbolic link is there."""
    refuse_link(folder)
    with hidden_folder(folder) as hidden:
        os.replace(folder, hidden / _GONE)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some file systems know this of files alone.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def refuse_link(folder: Path) -> None:
    """ValueError if the folder's place holds a symbolic link, dangling or not."""
    if folder.is_symlink():
        raise ValueError(f"{folder} is a symbolic link to {os.readlink(folder)}; name that folder itself")


def try_place(folder: Path) -> None:
    """Try what `write_whole` does, without changing anything: write beside the folder, and move it aside if it is there.

    Errors as for `write_whole`: OSError where the disk is full, writing is not allowed, or the folder cannot be moved (a mount point).
    """
    refuse_link(folder)
    made = [parent for parent in folder.absolute().parents if not os.path.lexists(parent)]
    try:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, f"{error.filename} is not a folder") from error
        with hidden_folder(folder) as hidden:
            with (hidden / _NEW).open("wb") as file:
                file.write(bytes(_TRIED_BYTES))
                file.flush()
                os.fsync(file.fileno())
            if folder.exists():
                _try_move(folder, hidden)
    finally:
        for parent in made:
            # Not ours to remove once another process has written there.
            with suppress(OSError):
                parent.rmdir()


def _try_move(folder: Path, hidden: Path) -> None:
    """OSError if the folder cannot be renamed; it is not: the target has files, which is checked last."""
    try:
        os.rename(folder, hidden)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise OSError(errno.EBUSY, "it is a mount point, which cannot be replaced; name a new folder in it") from error
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextmanager
def reserved(folder: Path) -> Iterator[Path]:
    """The hidden folder ``.NAME.checkpoint`` beside a folder, for one process at a time; removed at the end if nothing is in it.

    A process that is killed gives it up. ValueError if another process has it; not noticed on file systems without locks.
    """
    hidden = reserved_folder(folder)
    descriptor = _reserve(hidden, folder)
    try:
        yield hidden
    finally:
        with suppress(OSError):
            hidden.rmdir()
        os.close(descriptor)


def reserved_folder(folder: Path) -> Path:
    """Where `reserved` makes the hidden folder of a folder."""
    return folder.parent / f".{folder.name}.checkpoint"


def _reserve(hidden: Path, folder: Path) -> int:
    while True:
        # Another process may remove the folder before it is opened, and between that and the lock.
        with suppress(FileNotFoundError):
            hidden.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(hidden, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise ValueError(f"another process is training to {folder}; wait for it, or name another folder") from None
            except OSError:
                return descriptor
            with suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), os.stat(hidden)):
                    return descriptor
            os.close(descriptor)


def clear_leftovers(folder: Path) -> None:
    """Remove the hidden folders of killed processes, and put back a folder that one had moved aside; logs a warning about each."""
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
    # Where others may write too, a link could lead to anything.
    descriptor = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
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
def passing_folder(name: str) -> Iterator[Path]:
    """An empty folder among the temporary files, removed at the end, as are those of this name that killed processes left."""
    folder = Path(tempfile.gettempdir()) / name
    clear_leftovers(folder)
    with hidden_folder(folder) as hidden:
        yield hidden


@contextmanager
def hidden_folder(folder: Path) -> Iterator[Path]:
    """The empty, locked folder ``.NAME.saving-XXXXXXXX`` beside a folder or file, removed at the end."""
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
