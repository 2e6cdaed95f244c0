"""Codes that are items: every item of a history is its own code, so that nothing is lost between tokens and codes."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from sparcode.config import QuantizerConfig
from sparcode.data.interactions import Histories


class ItemCodes(nn.Module):
    """Stands where a quantizer stands: code i is item i, its vector the item's history token, if the backbone has any.

    Heads have no code, so queries are their history items alone. Nothing is learnt.
    """

    def __init__(self, tokens: nn.Embedding | None, n_items: int, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        self.n_items = n_items
        # In a tuple, for the table stays the backbone's.
        self._tokens = (tokens,)

    def vectors(self, codes: Tensor) -> Tensor:
        """Tokens of the items: (...) int64 -> (..., D) float32; D is 0 without history tokens."""
        (tokens,) = self._tokens
        return codes.new_zeros((*codes.shape, 0), dtype=torch.float32) if tokens is None else tokens(codes)

    def update(self, tokens: Tensor, generator: torch.Generator) -> int:
        """Nothing moves; see `Quantizer.update`."""
        return 0


def items_of(queries: Histories) -> tuple[np.ndarray, np.ndarray]:
    """Distinct items of every query, ascending, and how often each occurs: (B, S) int64 and float32.

    Short rows are filled up with their first item at weight 0, empty ones with item 0.
    """
    lengths = queries.lengths
    width = int(lengths.max()) if len(lengths) else 0
    codes, weights = np.zeros((len(lengths), width), np.int64), np.zeros((len(lengths), width), np.float32)
    if width:
        _merge(queries.indptr, queries.items, codes, weights)
    return codes, weights


@njit(cache=True, nogil=True, fastmath=False)
def _merge(indptr, items, codes, weights):
    for row in range(len(codes)):
        ordered = np.sort(items[indptr[row] : indptr[row + 1]])
        place = -1
        for item in ordered:
            if place < 0 or codes[row, place] != item:
                place += 1
                codes[row, place] = item
            weights[row, place] += np.float32(1)
        for rest in range(place + 1, codes.shape[1]):
            codes[row, rest] = codes[row, 0]
