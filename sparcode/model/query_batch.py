"""Queries as tensors, and queries in blocks that bound the memory of evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparcode.data.interactions import Histories

QUERY_BLOCK = 1024


class QueryBatch(NamedTuple):
    """Ragged queries as tensors: query b is ``items[offsets[b]:offsets[b + 1]]``, oldest first.

    `items` are (n,) int64, `offsets` (B + 1,) int64, `features` (B, F) float32 side features of the users or None.
    """

    items: Tensor
    offsets: Tensor
    features: Tensor | None = None

    @classmethod
    def from_histories(cls, histories: Histories, device: torch.device | None = None) -> QueryBatch:
        """Copy a `Histories` into tensors on a device; None: the CPU."""
        features = None if histories.features is None else torch.from_numpy(histories.features.astype(np.float32))
        items, offsets = (torch.from_numpy(values.astype(np.int64)) for values in (histories.items, histories.indptr))
        return cls(items.to(device), offsets.to(device), None if features is None else features.to(device))

    @property
    def batch_size(self) -> int:
        """B."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """(B,) int64, items per query."""
        return torch.diff(self.offsets)


def rows_of(queries: Histories, rows: slice) -> Histories:
    """Consecutive rows, without a copy if these are all."""
    return queries if (rows.start, rows.stop) == (0, len(queries)) else queries.take(np.arange(rows.start, rows.stop))


def query_blocks(queries: Histories, block: int = QUERY_BLOCK) -> Iterator[Histories]:
    """Cut queries into consecutive blocks, without a copy if one block holds all; no queries give one empty block."""
    if len(queries) <= block:
        yield queries
        return
    for start in range(0, len(queries), block):
        yield queries.take(np.arange(start, min(start + block, len(queries))))
