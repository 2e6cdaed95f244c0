"""The all-to-all model: every continuous token meets every item in the interaction network. Accurate, and too slow to serve.

It is the upper bound SparCode is held against, and the backbone that SparCode quantizes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.batching import QUERY_BLOCK, query_blocks
from sparcode.model.interaction import INTERACTIONS
from sparcode.model.query_batch import QueryBatch
from sparcode.model.tokenizer import Tokenizer


class AllToAllModel(nn.Module):
    """Tokenizer and interaction network, scores summed over tokens.

    Parameters
    ----------
    n_items
        I.
    config
        Shapes.
    dropout
        Dropout of the query encoder.
    n_features
        Side features per user; 0 for none.
    item_features
        (I, F) float32 side features of items; None for none.
    """

    def __init__(
        self, n_items: int, config: ModelConfig, dropout: float = 0.0, n_features: int = 0, item_features: Tensor | None = None
    ) -> None:
        super().__init__()
        self.n_items, self.config = n_items, config
        self.tokenizer = Tokenizer(n_items, config, dropout, n_features)
        self.interaction = INTERACTIONS[config.interaction](n_items, config, item_features)

    def forward(self, queries: QueryBatch, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of a batch.

        Parameters
        ----------
        queries
            B queries.
        candidates
            (C,) int64 items to score; None scores all.

        Returns
        -------
        tuple of Tensor
            (B, C) logits and the auxiliary loss, a scalar zero.
        """
        tokens = self.tokenizer(queries)  # (B, T, D)
        raw = self.interaction(tokens.flatten(0, 1), candidates)  # (B * T, C)
        batch, n_tokens = tokens.shape[:2]
        if self.config.link == "linear":
            return torch.relu(raw).view(batch, n_tokens, -1).sum(1), raw.new_zeros(())
        return torch.logsumexp(raw.view(batch, n_tokens, -1), dim=1), raw.new_zeros(())

    @torch.no_grad()
    def tokens(self, queries: Histories) -> Tensor:
        """Continuous tokens of queries, (B, T, D) float32, in evaluation mode."""
        self.eval()
        return torch.cat([self.tokenizer(QueryBatch.from_histories(block)) for block in query_blocks(queries)])

    @torch.no_grad()
    def score(self, queries: Histories) -> np.ndarray:
        """Score every item: (B, I) float32 array, higher is better."""
        self.eval()
        blocks = query_blocks(queries, max(1, QUERY_BLOCK // 4))
        return torch.cat([self(QueryBatch.from_histories(block))[0] for block in blocks]).numpy()
