"""SHA-256 sums of a run's files, so that damage is found before anything is parsed."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT_VERSION = 3
# The same files, but no manifest.
VERSION_WITHOUT_SUMS = 2
# Written by file browsers into every folder they show.
_NOT_OURS = {".DS_Store", "Thumbs.db", "desktop.ini"}


def write_manifest(folder: Path) -> None:
    """List every file of a finished run folder with its size and sum."""
    files = {name: dict(zip(("size", "sha256"), _size_and_sum(path), strict=True)) for name, path in _files(folder).items()}
    (folder / MANIFEST).write_bytes(_sealed({"format_version": FORMAT_VERSION, "files": files}))


def check_manifest(folder: Path) -> None:
    """Compare a run folder with its manifest; every file is read once, in about a second per gigabyte.

    Added files are not read; a warning names them. ValueError if a file is missing or damaged, the manifest included, or the format version
    differs; names the file.
    """
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        sealed = _sealed({name: value for name, value in content.items() if name != "sha256"})
        files = {name: (entry["size"], entry["sha256"]) for name, entry in content["files"].items()}
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    check_version(path, content.get("format_version"))
    # Byte by byte, so that even a changed space is noticed.
    if raw != sealed:
        raise ValueError(f"{path} is damaged: it does not have the checksum it names")
    found = _files(folder)
    if missing := sorted(files.keys() - found.keys()):
        raise ValueError(f"{folder} is not a run folder: it lacks {', '.join(missing)}")
    if added := sorted(found.keys() - files.keys()):
        logger.warning("%s: not part of the run and not read: %s", folder, ", ".join(added))
    for name, expected in files.items():
        if _size_and_sum(found[name]) != expected:
            raise ValueError(f"{found[name]} is damaged: it does not have the size and checksum that {MANIFEST} gives")


def check_version(path: Path, version: Any) -> None:
    """Refuse a run folder of another format version, as found in one of its files."""
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format version {version!r}; this version of sparcode reads {FORMAT_VERSION}")


def _files(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir() and path.name not in _NOT_OURS)
    return {path.relative_to(folder).as_posix(): path for path in paths if path != folder / MANIFEST}


def _size_and_sum(path: Path) -> tuple[int, str]:
    try:
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _sealed(content: dict[str, Any]) -> bytes:
    """The manifest's bytes, with a checksum of its own."""
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "sha256": checksum}, indent=1) + "\n").encode()
