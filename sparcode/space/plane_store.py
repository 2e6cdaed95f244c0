"""Layouts that took long, kept in a folder by the key of what they were made of."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

MOST_KEPT: Final = 64
_KEY: Final = re.compile(r"[0-9a-f]{8,64}")


class PlaneStore:
    """A folder of layouts, made with the first one; the least recently used ones go beyond `most`. Safe to share between processes.

    What cannot be read or written is as if it were not kept: it is made again.
    """

    def __init__(self, folder: Path, most: int = MOST_KEPT) -> None:
        self._folder, self._most = folder, most

    def get(self, key: str, n_points: int) -> np.ndarray | None:
        """The (n_points, 2) float32 layout of a key; None if it is not there or damaged."""
        file = self._file(key)
        try:
            plane = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if plane.shape != (n_points, 2) or plane.dtype != np.float32 or not np.isfinite(plane).all():
            return None
        with suppress(OSError):
            os.utime(file)
        return plane

    def put(self, key: str, plane: np.ndarray) -> None:
        """Keep a layout."""
        file, new = self._file(key), None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, new = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            with os.fdopen(descriptor, "wb") as target:
                np.save(target, np.asarray(plane, np.float32))
            os.replace(new, file)
            self._drop_oldest()
        except OSError:
            if new is not None:
                Path(new).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"a key has 8 to 64 hexadecimal digits; got {key!r}")
        return self._folder / f"{key}.npy"

    def _drop_oldest(self) -> None:
        files = sorted(self._folder.glob("*.npy"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for file in files[self._most :]:
            file.unlink(missing_ok=True)
