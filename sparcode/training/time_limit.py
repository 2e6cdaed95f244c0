"""A limit on the time of one stage of training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class TimeLimit:
    """How long a stage may take from now on; `seconds` may be infinite. `clock` is a steady one, in seconds.

    Attributes
    ----------
    ended_training
        Whether the limit, not the settings, ended the training.
    """

    def __init__(self, seconds: float = math.inf, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds, self._clock, self._start = seconds, clock, clock()
        self.ended_training = False

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._clock() - self._start >= self._seconds

    def epochs_in_all(self, n_done: int, n_wanted: int) -> int:
        """How many epochs fit, of `n_wanted`, if the next take as long as the `n_done` so far, which count in any case."""
        if math.isinf(self._seconds):
            return n_wanted
        passed = max(self._clock() - self._start, 1e-9)
        return min(n_wanted, max(n_done, int(n_done * self._seconds / passed)))
