"""The order of items in small blocks: items that the same lists hold stand side by side, so that few blocks hold the best of a query."""

from __future__ import annotations

import numpy as np

from sparcode.index import build_kernels
from sparcode.index.inverted_index import InvertedIndex

# Dimensions that each item's scores are projected to, and items that a split's direction is computed from.
_DIMENSIONS, _SAMPLE = 16, 2048


def similar_order(index: InvertedIndex, ends: np.ndarray, threshold: float, block: int) -> np.ndarray:
    """Order all items by halving them along their principal direction until `block` are left; (I,) int32 item ids.

    An item is described by a seeded random projection of its scores above the threshold over all lists, of which the parts up to `ends`
    (n_lists,) int64 count.
    """
    directions = np.random.default_rng(0).normal(size=(index.n_lists, _DIMENSIONS)).astype(np.float32)
    vectors = np.zeros((index.n_items, _DIMENSIONS), dtype=np.float32)
    # Shares of the highest score, since sums of scores might not be finite.
    highest = float(index.scores.max(initial=threshold)) - threshold
    build_kernels.project_lists(index.indptr, ends, index.item_ids, index.scores, threshold, highest or 1.0, directions, vectors)
    order = np.arange(index.n_items, dtype=np.int32)
    along = np.empty(index.n_items, dtype=np.float32)
    waiting = [(0, index.n_items)]
    while waiting:
        start, end = waiting.pop()
        n_blocks = -(-(end - start) // block)
        if n_blocks < 2:
            continue
        middle = start + n_blocks // 2 * block
        part = vectors[start:end]
        build_kernels.project_on_principal(part, max(1, len(part) // _SAMPLE), along[start:end])
        places = np.argpartition(along[start:end], middle - start)
        vectors[start:end], order[start:end] = part[places], order[start:end][places]
        waiting += [(start, middle), (middle, end)]
    return order
