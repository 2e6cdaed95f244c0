"""Read files of a .zip archive or a folder by name, block by block, without extracting them and within limits."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sparcode.data.limits import BeyondLimit, Limits

BLOCK_BYTES = 4 * 2**20


class FolderFiles:
    """Files of a folder, looked for in the folder itself and in named subfolders of it."""

    def __init__(self, path: Path, subfolders: Sequence[str], limits: Limits) -> None:
        self.label = str(path)
        self.limits = limits
        self._places = [path, *(path / name for name in subfolders)]

    def _find(self, name: str) -> Path | None:
        return next((place / name for place in self._places if (place / name).is_file()), None)

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def blocks(self, name: str) -> Iterator[bytes]:
        """Content of one file in blocks; a ValueError if it is missing or larger than the limit."""
        path = self._find(name)
        if path is None:
            raise ValueError(f"{self.label}: looked for {name}, which is missing")
        with path.open("rb") as file:
            yield from _bounded(file, path.stat().st_size, self.limits, f"{self.label}: {name}")


class ZipFiles:
    """Files of a .zip archive, looked for by base name, so that it does not matter under which folder they were packed."""

    def __init__(self, archive: zipfile.ZipFile, label: str, limits: Limits) -> None:
        self.label = label
        self.limits = limits
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        # Deepest first, so that of equal names the one nearest the top stays; macOS adds a shadow tree of its own.
        for info in sorted(archive.infolist(), key=lambda info: -info.filename.count("/")):
            # A damaged archive may have members without a name.
            if info.filename and not info.is_dir() and not info.filename.startswith("__MACOSX/"):
                self._members[PurePosixPath(info.filename).name] = info

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def blocks(self, name: str) -> Iterator[bytes]:
        """Content of one member in blocks; a ValueError if it is missing, damaged, encrypted or larger than the limit."""
        if name not in self._members:
            raise ValueError(f"{self.label}: looked for {name}, which is missing")
        info = self._members[name]
        try:
            with self._archive.open(info) as file:
                yield from _bounded(file, info.file_size, self.limits, f"{self.label}: {name}")
        except BeyondLimit:
            raise
        except Exception as error:  # damaged, encrypted, of an unknown method: zipfile and the codecs raise a dozen kinds
            raise ValueError(f"{self.label}: cannot read {name}: {_reason(error)}") from error


@contextmanager
def open_files(source: str | Path | BinaryIO, subfolders: Sequence[str], limits: Limits) -> Iterator[FolderFiles | ZipFiles]:
    """Open a folder and its named subfolders, or a .zip archive given as a path or an open binary file.

    ValueError if there is nothing at the path, or it is no readable .zip archive.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            yield FolderFiles(path, subfolders, limits)
            return
        if not path.is_file():
            raise ValueError(f"no archive or folder at {path}")
        label = str(path)
    else:
        label = str(getattr(source, "name", "the archive"))
    try:
        archive = zipfile.ZipFile(source)
    except Exception as error:  # as in `ZipFiles.blocks`
        raise ValueError(f"{label} is not a readable .zip archive: {_reason(error)}") from error
    with archive:
        yield ZipFiles(archive, label, limits)


def _bounded(file: BinaryIO, declared_bytes: int, limits: Limits, label: str) -> Iterator[bytes]:
    limits.check(label, unpacked_bytes=declared_bytes)
    # A declared size may lie, so the read itself is bounded too.
    n_bytes = 0
    while block := file.read(min(BLOCK_BYTES, limits.unpacked_bytes + 1 - n_bytes)):
        n_bytes += len(block)
        limits.check(label, or_more=True, unpacked_bytes=n_bytes)
        yield block


def _reason(error: Exception) -> str:
    """What is wrong with an archive; zipfile and the codecs speak of their own insides."""
    if isinstance(error, MemoryError):
        return "unpacking it takes more memory than there is"
    if isinstance(error, zipfile.BadZipFile | RuntimeError) and str(error):
        return str(error)
    return "it is damaged or cut off"
