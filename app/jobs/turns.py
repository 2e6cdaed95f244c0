"""Turns of the threads that draw pages."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

# Of as many pages at once, one may wait for compiled code.
AT_ONCE: Final = 2


class Turns:
    """At most `n_threads` threads draw at a time; the others wait.

    Python runs one thread at a time. More of them would not draw sooner, but whatever is sent to a browser would have to wait for all of
    them: with 20 visitors for ten seconds and longer.
    """

    def __init__(self, n_threads: int = AT_ONCE) -> None:
        self._free = threading.Semaphore(n_threads)
        self._mine = threading.local()

    def in_turn(self, draw: Callable[..., None]) -> Callable[..., None]:
        """The same function, which waits for a turn; called by a function that has one, it takes no other."""

        @functools.wraps(draw)
        def waiting(*args: Any) -> None:
            if self._has_one():
                draw(*args)
                return
            with self._free:
                self._mine.has_one = True
                try:
                    draw(*args)
                finally:
                    self._mine.has_one = False

        return waiting

    @contextmanager
    def left(self) -> Iterator[None]:
        """Leave this thread's turn, if it has one, to others while it waits for something else."""
        if not self._has_one():
            yield
            return
        self._free.release()
        self._mine.has_one = False
        try:
            yield
        finally:
            self._free.acquire()
            self._mine.has_one = True

    def all_taken(self) -> bool:
        """Whether a thread that wants a turn now has to wait."""
        if self._free.acquire(blocking=False):
            self._free.release()
            return False
        return True

    def _has_one(self) -> bool:
        return getattr(self._mine, "has_one", False)


# Of all pages of this process.
page_turns: Final = Turns()
