"""Which process runs a sweep: one at a time, known by a word that its trials look for, and end without.

The word stands in the file ``session`` of the sweep's folder, also for trials on other machines. A trial whose word is gone, or another
one, was abandoned: its process was killed, or the sweep was cancelled.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from sparcode.index.whole_folder import reserved

_NAME: Final = "session"
_LOOK_SECONDS: Final = 0.3
_BEAT_SECONDS: Final = 5.0
# A process that was killed leaves the word behind, and its number, or its machine's name, may be another's or nobody's later.
_SILENT_SECONDS: Final = 60.0


@contextmanager
def session(folder: Path) -> Iterator[str]:
    """The word of this process, for as long as it runs the sweep; ValueError if another process on this machine runs it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(reserved(folder))
        except ValueError as error:
            raise ValueError(f"another process runs the sweep in {folder}; wait for it, or cancel it") from error
        word, path = f"{uuid.uuid4().hex} {os.getpid()} {socket.gethostname()}", folder / _NAME
        new = folder / f".{_NAME}.{os.getpid()}"
        new.write_text(word, encoding="utf-8")
        os.replace(new, path)
        try:
            yield word
        finally:
            if current(folder) == word:
                path.unlink(missing_ok=True)


def current(folder: Path) -> str:
    """The word of the process that runs the sweep, or did when it was killed; empty if none does."""
    with suppress(OSError):
        return (folder / _NAME).read_text(encoding="utf-8")
    return ""


def cancel(folder: Path) -> bool:
    """Ask the process that runs a sweep, wherever, to end its trials and itself; whether one was asked."""
    try:
        (folder / _NAME).unlink()
    except OSError:
        return False
    return True


class Heartbeat:
    """Shows from outside that the process of a session lives, also from other machines: `beat`, called often, touches its file."""

    def __init__(self, folder: Path) -> None:
        self._path, self._last = folder / _NAME, time.monotonic()

    def beat(self) -> None:
        """Touch the file every few seconds."""
        if time.monotonic() - self._last >= _BEAT_SECONDS:
            self._last = time.monotonic()
            # Gone: the sweep was cancelled.
            with suppress(OSError):
                os.utime(self._path)


def is_running(folder: Path) -> bool:
    """Whether a process runs the sweep now, on this machine or another one; seen within a minute of its end if it was killed."""
    _, _, owner = current(folder).partition(" ")
    pid, _, host = owner.partition(" ")
    if not pid.isdecimal():
        return False
    try:
        if time.time() - (folder / _NAME).stat().st_mtime > _SILENT_SECONDS:
            return False
    except OSError:
        return False
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # There is one, of another user.
        return True
    return True


class Watch:
    """Whether a trial is still wanted: `is_over` looks at the word again every third of a second."""

    def __init__(self, folder: Path, word: str) -> None:
        self._folder, self._word = folder, word
        self._looked, self._over = -_LOOK_SECONDS, False

    def is_over(self) -> bool:
        """Whether the session has ended; once true, always."""
        now = time.monotonic()
        if not self._over and now - self._looked >= _LOOK_SECONDS:
            self._looked, self._over = now, current(self._folder) != self._word
        return self._over
