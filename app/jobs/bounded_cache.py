"""A cache with a limit in bytes that forgets what was unused longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class BoundedCache:
    """Keeps values until their bytes exceed a limit. Safe to share between threads.

    Parameters
    ----------
    max_bytes
        Limit over all values. The value put last is kept even if it is larger than that.

    Raises
    ------
    ValueError
        If `max_bytes` is not positive.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes <= 0:
            raise ValueError(f"max_bytes must be positive, got {max_bytes}")
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:
        """The value of a key, now the one used last; None if it is not there."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """Keep a value, in place of an earlier one of that key.

        Parameters
        ----------
        key
            What it is found by.
        value
            Not None.
        n_bytes
            What it weighs.
        """
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = (value, n_bytes)
            while len(self._entries) > 1 and self._total() > self.max_bytes:
                self._entries.popitem(last=False)

    def discard(self, key: Hashable) -> None:
        """Forget a key, if it is there."""
        with self._lock:
            self._entries.pop(key, None)

    def values(self) -> list[Any]:
        """All values, the one used last at the end; does not count as use."""
        with self._lock:
            return [value for value, _ in self._entries.values()]

    @property
    def n_bytes(self) -> int:
        """Bytes of all values."""
        with self._lock:
            return self._total()

    def _total(self) -> int:
        return sum(n_bytes for _, n_bytes in self._entries.values())
