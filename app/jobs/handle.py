"""What background work may do while it runs: publish records, and ask whether to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class JobCancelled(Exception):
    """Raised by work that was asked to stop and has nothing to return."""


class JobHandle:
    """What the work may do: publish records, and ask whether to stop.

    Parameters
    ----------
    publish
        Takes one immutable record.
    cancelled
        Set once the job should stop.
    """

    def __init__(self, publish: Callable[[Any], None], cancelled: threading.Event) -> None:
        self.publish = publish
        self._cancelled = cancelled

    def should_stop(self) -> bool:
        """Whether the job was cancelled."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """End the work here if the job was cancelled.

        Raises
        ------
        JobCancelled
            If it was.
        """
        if self.should_stop():
            raise JobCancelled


Work = Callable[[JobHandle], Any]
