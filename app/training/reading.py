"""Uploaded files are read in processes of their own, so that none exhausts the studio: with a deadline and limits on memory."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from app.training.reader import UPLOADED, ReadFile, Request, read_answer
from sparcode.config import SplitConfig
from sparcode.data.limits import UPLOADS, Limits
from sparcode.index.whole_folder import passing_folder

# Beside what the imports take.
MEMORY_BYTES: Final = 470 * 2**20
SECONDS: Final = 45.0
# Others wait for their turn, so that a core is left for the pages.
AT_ONCE: Final = 2
WAITING_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.1
_ROOT: Final = Path(__file__).resolve().parents[2]
# Threads and their arenas would count as memory.
_ENVIRONMENT: Final = {
    "PYTHONPATH": str(_ROOT),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
}

_log = logging.getLogger(__name__)


class FileReader:
    """Reads files of strangers, two at once. Safe to share between threads.

    Parameters
    ----------
    config
        How the data is split.
    limits, memory_bytes, seconds
        What one file may have and take; the memory beside that of the imports.
    """

    def __init__(self, config: SplitConfig, limits: Limits = UPLOADS, memory_bytes: int = MEMORY_BYTES, seconds: float = SECONDS) -> None:
        self._config, self._limits, self._memory_bytes, self._seconds = config, limits, memory_bytes, seconds
        self._turn = threading.Semaphore(AT_ONCE)
        self._closed = threading.Event()

    def read(
        self, name: str, content: bytes, is_wanted: Callable[[], bool], columns: Mapping[str, str | None] = MappingProxyType({})
    ) -> ReadFile:
        """Read and split a file; `is_wanted` is asked meanwhile, and what it raises is passed on. `columns` as for `Request`.

        ValueError, with the reason or the limit, if the file cannot be used, takes too much or nobody wants it any more; OSError if the
        process cannot be started.
        """
        request = Request(name, self._config, self._limits, self._memory_bytes, self._seconds, columns=dict(columns))
        return self._in_turn(request, content, is_wanted)

    def read_path(
        self,
        path: Path,
        name: str,
        is_wanted: Callable[[], bool] = lambda: True,
        columns: Mapping[str, str | None] = MappingProxyType({}),
    ) -> ReadFile:
        """The same for a file of the studio's own."""
        request = Request(name, self._config, self._limits, self._memory_bytes, self._seconds, str(path), dict(columns))
        return self._in_turn(request, b"", is_wanted)

    def close(self) -> None:
        """End all reading."""
        self._closed.set()

    def _in_turn(self, request: Request, content: bytes, is_wanted: Callable[[], bool]) -> ReadFile:
        self._await(self._turn.acquire, WAITING_SECONDS, is_wanted, "other files are being read; try again in a minute")
        try:
            with passing_folder("sparcode-upload") as folder:
                return self._read_in(folder, request, content, is_wanted)
        finally:
            self._turn.release()

    def _read_in(self, folder: Path, request: Request, content: bytes, is_wanted: Callable[[], bool]) -> ReadFile:
        (folder / UPLOADED).write_bytes(content)
        request.write(folder)
        command = [sys.executable, "-m", "app.training.reader", str(folder)]
        with (folder / "errors.txt").open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=_ROOT, env=os.environ | _ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
        try:
            slow = f"reading it takes more than {self._seconds:g} seconds, the most for one file"
            self._await(lambda timeout: _has_ended(process, timeout), self._seconds, is_wanted, slow)
        finally:
            process.kill()
            process.wait()
        large = f"reading it takes more than {self._memory_bytes / 2**20:.0f} MB of memory, the most for one file"
        try:
            return read_answer(folder)
        except MemoryError:
            raise ValueError(large) from None
        except FileNotFoundError:
            said = (folder / "errors.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
            _log.warning("reading an upload ended with status %s: %s", process.returncode, said)
            raise ValueError(f"it is damaged, or {large}") from None

    def _await(self, attempt: Callable[..., bool], seconds: float, is_wanted: Callable[[], bool], late: str) -> None:
        """Attempt again and again; ValueError once time is up or the file is not wanted any more."""
        deadline = time.monotonic() + seconds
        while not attempt(timeout=_LOOK_SECONDS):
            if self._closed.is_set() or not is_wanted():
                raise ValueError("reading it was ended, because its tab or the studio was closed")
            if time.monotonic() > deadline:
                raise ValueError(late)


def _has_ended(process: subprocess.Popen[bytes], timeout: float) -> bool:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True
