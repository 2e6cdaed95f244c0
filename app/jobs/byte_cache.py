"""A least-recently-used cache with a limit in bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import Cache, LRUCache

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Least-recently-used values within `max_bytes`, each measured by `size_of`. Safe to share between threads.

    The value put last is kept even if it is larger than the limit.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[Value], int]) -> None:
        # A value larger than the limit evicts all others instead of being refused.
        self._values: LRUCache[Hashable, Value] = LRUCache(max_bytes, lambda value: min(size_of(value), max_bytes))
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, marked as used; None if it is not cached."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Cache a value, in place of an earlier one of that key, marked as used."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value

    def discard(self, key: Hashable) -> None:
        """Drop a key, if it is cached."""
        with self._lock:
            self._values.pop(key, None)

    def values(self) -> list[Value]:
        """All values, the last one put at the end; does not count as use."""
        with self._lock:
            return [Cache.__getitem__(self._values, key) for key in self._values]
