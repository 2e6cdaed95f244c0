"""Blocks of queries: evaluation never holds more than a block of intermediate results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sparcode.data.interactions import Histories

QUERY_BLOCK = 1024


def query_blocks(queries: Histories, block: int = QUERY_BLOCK) -> Iterator[Histories]:
    """Cut queries into consecutive blocks; no queries give one empty block, and what fits in one is passed on as it is."""
    if len(queries) <= block:
        yield queries
        return
    for start in range(0, len(queries), block):
        yield queries.take(np.arange(start, min(start + block, len(queries))))
