"""Pause, resume and step of one training: set by the page, checked by the worker between batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Final

# A forgotten pause keeps data and weights in memory.
PAUSE_LIMIT_SECONDS: Final = 1800.0
# Between two checks for a cancel during a pause.
_LOOK_SECONDS: Final = 0.1


class Pace(StrEnum):
    """The pace of a training."""

    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STEPPING = "stepping"


class PausedTooLong(RuntimeError):
    """Nobody resumed the training."""


class TrainingControl:
    """Thread-safe switch between a page and the worker that trains.

    Parameters
    ----------
    paused_after_first
        Whether to train one epoch and then wait, as if `step` had been called before the start.
    limit
        Seconds after which a pause ends the training.
    clock
        Seconds of a steady clock.
    """

    def __init__(
        self, paused_after_first: bool = False, limit: float = PAUSE_LIMIT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._changed = threading.Condition()
        self._limit, self._clock = limit, clock
        self._paused = self._stepping = paused_after_first
        self._waiting_since: float | None = None
        self._waited = 0.0

    def pause(self, patience: float = 0.0) -> None:
        """Let the worker wait from the next batch on; wait at most `patience` seconds until it does."""
        with self._changed:
            self._paused, self._stepping = True, False
            self._changed.wait_for(lambda: self._waiting_since is not None or not self._paused, patience)

    def resume(self) -> None:
        """Let the worker go on."""
        with self._changed:
            self._paused = self._stepping = False
            self._changed.notify_all()

    def step(self) -> None:
        """Let the worker go on to the end of the current or next epoch, and wait there."""
        with self._changed:
            self._paused = self._stepping = True
            self._changed.notify_all()

    @property
    def pace(self) -> Pace:
        """The current pace."""
        with self._changed:
            if self._stepping:
                return Pace.STEPPING
            if not self._paused:
                return Pace.RUNNING
            return Pace.PAUSING if self._waiting_since is None else Pace.PAUSED

    @property
    def waited_seconds(self) -> float:
        """Time the worker has spent waiting so far."""
        with self._changed:
            return self._waited + (0.0 if self._waiting_since is None else self._clock() - self._waiting_since)

    def epoch_done(self) -> None:
        """End a step; called by the worker."""
        with self._changed:
            self._stepping = False

    def wait(self, cancelled: Callable[[], bool], aside: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """Return at once, or when the pause is over or the training `cancelled`; called by the worker between batches.

        The pause is spent within `aside`, whose end may wait, too. PausedTooLong if nobody resumed it in time.
        """
        with self._changed:
            if not self._held():
                return
            self._waiting_since = self._clock()
            self._changed.notify_all()
        try:
            with aside(), self._changed:
                while self._held() and not cancelled():
                    if self._clock() - self._waiting_since >= self._limit:
                        raise PausedTooLong(f"the run was paused for {self._limit / 60:.0f} minutes and was ended, to free its memory")
                    self._changed.wait(_LOOK_SECONDS)
        finally:
            with self._changed:
                self._waited += self._clock() - self._waiting_since
                self._waiting_since = None

    def _held(self) -> bool:
        return self._paused and not self._stepping
