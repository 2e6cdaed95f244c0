"""The open tabs and the setting each shows: a job goes on while a tab that wants it is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

# A reload or a lost connection is over by then.
LEFT_SECONDS: Final = 60.0
KEPT_TABS: Final = 1024


@dataclass(eq=False)
class _Tab:
    owner: str
    is_open: Callable[[], bool]
    setting: str = ""
    keys: frozenset[str] = frozenset()
    seen_open: float = 0.0
    closed_since: float | None = None


class Viewers:
    """Open tabs by browser; `clock` is a steady one, in seconds. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tabs: LRUCache[str, _Tab] = LRUCache(KEPT_TABS)

    def enter(self, tab: str, owner: str, is_open: Callable[[], bool]) -> None:
        """Note an open tab of a browser (`owner`); a known tab keeps its setting. `is_open` tells whether it is connected."""
        with self._lock:
            known = self._tabs.pop(tab, None)
            if known is None or known.owner != owner:
                known = _Tab(owner, is_open)
            known.is_open, known.seen_open, known.closed_since = is_open, self._clock(), None
            self._tabs[tab] = known

    def show(self, tab: str, setting: str, keys: frozenset[str]) -> None:
        """Note the setting that a tab shows now, and the keys of all jobs it wants."""
        with self._lock:
            if (known := self._tabs.get(tab)) is not None:
                known.setting, known.keys = setting, keys
            # Closed tabs do not report it.
            for other in self._tabs.values():
                self._is_open(other)

    def want(self, tab: str, key: str) -> None:
        """Note a further job that a tab wants, until it shows another setting."""
        with self._lock:
            if (known := self._tabs.get(tab)) is not None:
                known.keys |= {key}

    def elsewhere(self, tab: str, owner: str, setting: str) -> bool:
        """Whether another open tab of the same browser shows the setting."""
        with self._lock:
            others = [known for name, known in self._tabs.items() if name != tab and known.owner == owner and known.setting == setting]
            return any(map(self._is_open, others))

    def n_open(self) -> int:
        """Open tabs."""
        with self._lock:
            return sum(map(self._is_open, self._tabs.values()))

    def has_left(self, owner: str, key: str, joined: float) -> bool:
        """Whether every tab of an owner that wants a job has been closed for `LEFT_SECONDS`.

        An owner without a tab does not leave. Tabs closed before the owner `joined` the job do not count. If no tab wants the job, all tabs
        of the owner count.
        """
        with self._lock:
            tabs = [tab for tab in self._tabs.values() if tab.owner == owner]
            for tab in tabs:
                self._is_open(tab)
            wanting = [tab for tab in tabs if key in tab.keys and tab.seen_open >= joined] or tabs
            since = [tab.closed_since for tab in wanting]
            return bool(since) and None not in since and self._clock() - max(since) >= LEFT_SECONDS

    def has_gone(self, owner: str) -> bool:
        """Whether every tab of an owner has been closed for `LEFT_SECONDS`; so has an owner without a tab."""
        with self._lock:
            tabs = [tab for tab in self._tabs.values() if tab.owner == owner]
            open_now = [self._is_open(tab) for tab in tabs]
            return not any(open_now) and all(self._clock() - tab.closed_since >= LEFT_SECONDS for tab in tabs)

    def _is_open(self, tab: _Tab) -> bool:
        if tab.is_open():
            tab.seen_open, tab.closed_since = self._clock(), None
            return True
        if tab.closed_since is None:
            tab.closed_since = self._clock()
        return False
