"""Read files of a .zip archive or a folder by name, without extracting them and with a limit on their size."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO


class _TooLarge(ValueError):
    pass


class FolderFiles:
    """Files of a folder, looked for in the folder itself and in named subfolders of it."""

    def __init__(self, path: Path, subfolders: Sequence[str], max_bytes: int) -> None:
        self.label = str(path)
        self._places = [path, *(path / name for name in subfolders)]
        self._max_bytes = max_bytes

    def _find(self, name: str) -> Path | None:
        return next((place / name for place in self._places if (place / name).is_file()), None)

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def read(self, name: str) -> bytes:
        """Content of one file; a ValueError if it is missing or larger than the limit."""
        path = self._find(name)
        if path is None:
            raise ValueError(f"{self.label}: looked for {name}, which is missing")
        with path.open("rb") as file:
            return _bounded(file, path.stat().st_size, self._max_bytes, f"{self.label}: {name}")


class ZipFiles:
    """Files of a .zip archive, looked for by base name, so that it does not matter under which folder they were packed."""

    def __init__(self, archive: zipfile.ZipFile, label: str, max_bytes: int) -> None:
        self.label = label
        self._archive = archive
        self._max_bytes = max_bytes
        self._members: dict[str, zipfile.ZipInfo] = {}
        # Deepest first, so that of equal names the one nearest the top stays; macOS adds a shadow tree of its own.
        for info in sorted(archive.infolist(), key=lambda info: -info.filename.count("/")):
            if not info.is_dir() and not info.filename.startswith("__MACOSX/"):
                self._members[PurePosixPath(info.filename).name] = info

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """Content of one member; a ValueError if it is missing, damaged, encrypted or larger than the limit."""
        if name not in self._members:
            raise ValueError(f"{self.label}: looked for {name}, which is missing")
        info = self._members[name]
        try:
            with self._archive.open(info) as file:
                return _bounded(file, info.file_size, self._max_bytes, f"{self.label}: {name}")
        except _TooLarge:
            raise
        except Exception as error:  # damaged, encrypted, of an unknown method: zipfile and the codecs raise a dozen kinds
            raise ValueError(f"{self.label}: cannot read {name}: {error or type(error).__name__}") from error


@contextmanager
def open_files(source: str | Path | BinaryIO, subfolders: Sequence[str], max_bytes: int) -> Iterator[FolderFiles | ZipFiles]:
    """Open a folder and its named subfolders, or a .zip archive given as a path or an open binary file, for files of at most `max_bytes`.

    ValueError if there is nothing at the path, or it is no readable .zip archive.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            yield FolderFiles(path, subfolders, max_bytes)
            return
        if not path.is_file():
            raise ValueError(f"no archive or folder at {path}")
        label = str(path)
    else:
        label = str(getattr(source, "name", "the archive"))
    try:
        archive = zipfile.ZipFile(source)
    except Exception as error:  # as in `ZipFiles.read`
        raise ValueError(f"{label} is not a readable .zip archive: {error or type(error).__name__}") from error
    with archive:
        yield ZipFiles(archive, label, max_bytes)


def _bounded(file: BinaryIO, declared_bytes: int, max_bytes: int, label: str) -> bytes:
    # A declared size may lie, so the read itself is bounded too.
    raw = file.read(max_bytes + 1) if declared_bytes <= max_bytes else b""
    if max(declared_bytes, len(raw)) > max_bytes:
        raise _TooLarge(f"{label} is larger than {max_bytes:,} bytes, the most that is read")
    return raw
