"""Which setting each tab of a browser shows, so that a tab that moves on leaves the others theirs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

# A tab in the background asks only once a minute; one that was closed says nothing.
FRESH_SECONDS: Final = 90.0
KEPT_TABS: Final = 1024


class _Shown(NamedTuple):
    owner: str
    setting: str
    since: float


class Viewers:
    """The settings shown, by tab. Safe to share between threads.

    Parameters
    ----------
    clock
        Seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tabs: OrderedDict[str, _Shown] = OrderedDict()

    def show(self, tab: str, owner: str, setting: str) -> None:
        """Note what a tab shows now.

        Parameters
        ----------
        tab, owner
            Tell the tab apart, and the browser.
        setting
            Tells the setting apart.
        """
        with self._lock:
            self._tabs[tab] = _Shown(owner, setting, self._clock())
            self._tabs.move_to_end(tab)
            while len(self._tabs) > KEPT_TABS:
                self._tabs.popitem(last=False)

    def elsewhere(self, tab: str, owner: str, setting: str) -> bool:
        """Whether another tab of the same browser has shown the setting of late."""
        now = self._clock()
        with self._lock:
            return any(
                other != tab and shown.owner == owner and shown.setting == setting and now - shown.since < FRESH_SECONDS
                for other, shown in self._tabs.items()
            )
