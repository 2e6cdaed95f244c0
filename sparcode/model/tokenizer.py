"""Tokenizer: a query (an interaction history) becomes T tokens of D dimensions (SparCode, arXiv 2311.18213)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.initialisation import SeededDropout


class QueryBatch(NamedTuple):
    """Ragged queries as tensors.

    Attributes
    ----------
    items
        (n,) int64, items of all queries one after the other, oldest first.
    offsets
        (B + 1,) int64; query b is ``items[offsets[b]:offsets[b + 1]]``.
    """

    items: Tensor
    offsets: Tensor

    @classmethod
    def from_histories(cls, histories: Histories) -> QueryBatch:
        """Copy a `Histories` into tensors."""
        return cls(torch.from_numpy(histories.items.astype(np.int64)), torch.from_numpy(histories.indptr.astype(np.int64)))

    @property
    def batch_size(self) -> int:
        """B."""
        return len(self.offsets) - 1


class MeanEncoder(nn.Module):
    """Pooled history, then a DNN, as in DSSM and YouTubeDNN.

    The pool is the sum of item embeddings over the square root of the history's length: between a sum, which lets long histories
    dominate, and a mean, which makes them faint. An empty history pools to zero.
    """

    def __init__(self, n_items: int, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(n_items, config.hidden_dim, mode="sum", include_last_offset=True)
        self.dropout = SeededDropout(dropout)
        self.hidden = nn.Linear(config.hidden_dim, config.hidden_dim)

    def forward(self, queries: QueryBatch) -> Tensor:
        """Encode queries to (B, hidden_dim)."""
        lengths = torch.diff(queries.offsets).clamp(min=1)
        pooled = self.embedding(queries.items, queries.offsets) / lengths.sqrt()[:, None]  # (B, hidden_dim)
        pooled = self.dropout(torch.tanh(pooled))
        return self.dropout(torch.tanh(self.hidden(pooled)))


class Tokenizer(nn.Module):
    """Query encoder and T linear heads: queries -> (B, T, D)."""

    def __init__(self, n_items: int, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        self.n_tokens, self.token_dim = config.n_tokens, config.token_dim
        self.encoder = MeanEncoder(n_items, config, dropout)
        self.heads = nn.Linear(config.hidden_dim, config.n_tokens * config.token_dim)

    def forward(self, queries: QueryBatch) -> Tensor:
        """Tokens of a batch.

        Returns
        -------
        Tensor
            (B, T, D) float32.
        """
        return self.heads(self.encoder(queries)).view(-1, self.n_tokens, self.token_dim)  # (B, T, D)
