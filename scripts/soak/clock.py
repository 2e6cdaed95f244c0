"""A clock for measurements over minutes, in which a laptop or a virtual machine may be suspended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

# A thread that sleeps for a moment is not awake again after so long: the machine stood still.
STOPPED_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 0.1


class Clock:
    """Seconds in which the machine runs; `stopped` are those in which it stood still. Safe to share between threads."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady, self._lock = steady, threading.Lock()
        self._start = self._last = steady()
        self.stopped = 0.0

    def __call__(self) -> float:
        """Seconds since the clock was made."""
        with self._lock:
            now = self._steady()
            if now - self._last > STOPPED_SECONDS:
                self.stopped += now - self._last
            self._last = now
            return now - self._start - self.stopped

    def tick(self) -> None:
        """Look at the time, for ever."""
        while True:
            self()
            time.sleep(_TICK_SECONDS)


CLOCK: Final = Clock()
threading.Thread(target=CLOCK.tick, name="clock", daemon=True).start()


async def until_clock(moment: float) -> None:
    """Sleep until a moment of the clock."""
    while (left := moment - CLOCK()) > 0:
        await asyncio.sleep(min(left, _TICK_SECONDS))
