"""Which items a search may return: allow and deny sets, such as a category, what is in stock, or what must not be shown."""

from __future__ import annotations

from functools import cached_property

import numpy as np

_NONE_DENIED = np.zeros(0, dtype=np.bool_)


class ItemFilter:
    """A set of items that may be returned. Made once, used for any number of queries.

    `allow` (None: all) and `deny` (None: none) are (n,) integer ids; an item in both is denied. ValueError if ids are no integers or out of
    range.
    """

    def __init__(self, n_items: int, allow: np.ndarray | None = None, deny: np.ndarray | None = None) -> None:
        self.n_items = n_items
        denied = np.full(n_items, allow is not None, dtype=np.bool_)
        if allow is not None:
            denied[_checked_ids(allow, n_items, "allow")] = False
        if deny is not None:
            denied[_checked_ids(deny, n_items, "deny")] = True
        self._denied = denied if denied.any() else _NONE_DENIED

    def denied_of(self, n_items: int) -> np.ndarray:
        """(I,) bool, true for items that may not be returned; empty if there are none. ValueError if made for another catalogue size."""
        if n_items != self.n_items:
            raise ValueError(f"the item filter is over {self.n_items} items; the search is over {n_items}")
        return self._denied

    @cached_property
    def allowed_bits(self) -> np.ndarray:
        """(ceil(I / 8),) uint8, bit ``i % 8`` of byte ``i // 8`` set for items that may be returned; of a filter that denies some."""
        return np.packbits(~self._denied, bitorder="little")


def denied_items(only: ItemFilter | None, n_items: int) -> np.ndarray:
    """(I,) bool, the items that a filter denies, as the compiled loops take it: empty if there are none."""
    return _NONE_DENIED if only is None else only.denied_of(n_items)


def _checked_ids(ids: np.ndarray, n_items: int, name: str) -> np.ndarray:
    ids = np.asarray(ids)
    if ids.size == 0:
        return np.zeros(0, dtype=np.int64)
    if ids.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers; got dtype {ids.dtype}")
    if ids.min() < 0 or ids.max() >= n_items:
        raise ValueError(f"{name} must hold item ids in [0, {n_items}); got {ids.min()} to {ids.max()}")
    return ids
