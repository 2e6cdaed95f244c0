"""The two-tower model: one vector per query, one per item, a dot product (the paper's baseline, DSSM / YouTubeDNN)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.batching import query_blocks
from sparcode.model.tokenizer import QueryBatch, Tokenizer


class TwoTowerModel(nn.Module):
    """SparCode's query encoder with one head, item vectors and an item bias.

    Parameters
    ----------
    n_items
        I.
    config
        Shapes; `n_tokens` is not used, the query is one vector.
    dropout
        Dropout of the query encoder.
    """

    def __init__(self, n_items: int, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_items, self.config = n_items, config
        self.tokenizer = Tokenizer(n_items, config.model_copy(update={"n_tokens": 1}), dropout)
        self.items = nn.Embedding(n_items, config.token_dim)
        self.item_bias = nn.Parameter(torch.zeros(n_items))

    def forward(self, queries: QueryBatch, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of a batch over candidates (None: all items), and the auxiliary loss, a scalar zero."""
        vectors, bias = self.items.weight, self.item_bias
        if candidates is not None:
            # Unlike plain indexing, these add gradients up in the same order every time.
            vectors, bias = F.embedding(candidates, vectors), bias.index_select(0, candidates)
        logits = torch.addmm(bias, self.tokenizer(queries)[:, 0], vectors.T)  # (B, C)
        return logits, logits.new_zeros(())

    @torch.no_grad()
    def query_vectors(self, queries: Histories) -> np.ndarray:
        """(B, D + 1) float32: the query vector and a one, which meets the item bias."""
        self.eval()
        vectors = torch.cat([self.tokenizer(QueryBatch.from_histories(block))[:, 0] for block in query_blocks(queries)])
        return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], dim=1).numpy()

    @torch.no_grad()
    def item_vectors(self) -> np.ndarray:
        """(I, D + 1) float32: the item vector and its bias; inner product with a query vector is the score."""
        return torch.cat([self.items.weight, self.item_bias[:, None]], dim=1).numpy()

    def score(self, queries: Histories) -> np.ndarray:
        """Score every item: (B, I) float32, higher is better."""
        return self.query_vectors(queries) @ self.item_vectors().T
