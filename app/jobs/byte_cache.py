"""A cache with a limit in bytes that forgets what was unused longest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import Cache, LRUCache

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Keeps values within a limit of bytes. Safe to share between threads.

    Parameters
    ----------
    max_bytes
        Limit over all values; the value put last is kept even if it is larger.
    size_of
        Bytes of a value.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[Value], int]) -> None:
        # A value larger than the limit drives out all others instead of being refused.
        self._values: LRUCache[Hashable, Value] = LRUCache(max_bytes, lambda value: min(size_of(value), max_bytes))
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, now the one used last; None if it is not there."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value, in place of an earlier one of that key, as the one used last."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value

    def discard(self, key: Hashable) -> None:
        """Forget a key, if it is there."""
        with self._lock:
            self._values.pop(key, None)

    def values(self) -> list[Value]:
        """All values, the one put last at the end; does not count as use."""
        with self._lock:
            return [Cache.__getitem__(self._values, key) for key in self._values]
