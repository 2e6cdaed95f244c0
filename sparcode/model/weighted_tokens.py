"""Weighted tokens or codes of queries, as ragged rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class WeightedTokens(NamedTuple):
    """Ragged rows of numbers with weights: query b uses ``columns[offsets[b]:offsets[b + 1]]``.

    `columns` are (n,) int64, `weights` (n,) float32, `offsets` (B + 1,) int64.
    """

    columns: Tensor
    weights: Tensor
    offsets: Tensor

    @classmethod
    def rectangular(cls, columns: Tensor, weights: Tensor) -> WeightedTokens:
        """Of (B, S) columns and weights: every query uses S."""
        batch, width = columns.shape
        return cls(columns.flatten(), weights.flatten(), torch.arange(batch + 1, device=columns.device) * width)

    @property
    def rows(self) -> Tensor:
        """(n,) int64, the query of every entry."""
        return torch.repeat_interleave(torch.arange(len(self.offsets) - 1, device=self.offsets.device), torch.diff(self.offsets))

    def mix(self, scores: Tensor) -> Tensor:
        """Weighted sums of rows of scores: (N, C) to (B, C). Reads only the rows in use, unlike a product with a (B, N) matrix."""
        return F.embedding_bag(self.columns, scores, self.offsets, per_sample_weights=self.weights, mode="sum", include_last_offset=True)

    def padded(self, width: int) -> tuple[Tensor, Tensor]:
        """(B, width) columns and weights; short rows are padded with their first column at weight 0."""
        lengths = torch.diff(self.offsets)
        columns = self.columns[self.offsets[:-1].clamp(max=max(0, len(self.columns) - 1))][:, None].repeat(1, width)
        weights = self.weights.new_zeros(len(lengths), width)
        rows = self.rows
        places = torch.arange(len(rows), device=rows.device) - self.offsets[rows]
        columns[rows, places], weights[rows, places] = self.columns, self.weights
        return columns, weights

    def through(self, columns: Tensor, weights: Tensor) -> WeightedTokens:
        """Replace each number n by the P numbers ``columns[n]`` with weights ``weights[n]``; both are (N, P), int64 and float32."""
        weights = self.weights[:, None] * F.embedding(self.columns, weights)  # (n, P)
        return WeightedTokens(columns[self.columns].flatten(), weights.flatten(), self.offsets * columns.shape[1])

    def beside(self, other: WeightedTokens) -> WeightedTokens:
        """Each query's entries here, then its entries there."""
        order = torch.cat([self.rows, other.rows]).argsort(stable=True)
        columns, weights = torch.cat([self.columns, other.columns]), torch.cat([self.weights, other.weights])
        return WeightedTokens(columns[order], weights[order], self.offsets + other.offsets)

    def merged(self) -> WeightedTokens:
        """Every number at most once per query, with the sum of its weights; ascending."""
        size = int(self.columns.max()) + 1 if len(self.columns) else 1
        keys, places = torch.unique(self.rows * size + self.columns, return_inverse=True)
        weights = self.weights.new_zeros(len(keys)).index_add(0, places, self.weights)
        counts = torch.bincount(keys // size, minlength=len(self.offsets) - 1)
        return WeightedTokens(keys % size, weights, F.pad(counts.cumsum(0), (1, 0)))
