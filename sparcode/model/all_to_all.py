"""The all-to-all model: every continuous token meets every item in the interaction network.

It is accurate but too slow to serve: the upper bound for SparCode, and the backbone that SparCode quantizes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.device import device_of
from sparcode.model.interaction import INTERACTIONS, ItemTable
from sparcode.model.query_batch import QUERY_BLOCK, QueryBatch, query_blocks
from sparcode.model.sparse_score import mixture_logits
from sparcode.model.tokenizer import Tokenizer
from sparcode.model.trainable import TrainableModel


class AllToAllModel(TrainableModel):
    """Tokenizer and interaction network, scores summed over tokens; `item_features` are (I, F) float32, None for none."""

    def __init__(
        self, n_items: int, config: ModelConfig, dropout: float = 0.0, n_features: int = 0, item_features: Tensor | None = None
    ) -> None:
        super().__init__()
        self.n_items, self.config = n_items, config
        self.tokenizer = Tokenizer(n_items, config, dropout, n_features)
        self.interaction = INTERACTIONS[config.interaction](n_items, config, item_features)

    @property
    def items(self) -> ItemTable:
        """Item vectors and biases."""
        return self.interaction.items

    def forward(self, queries: QueryBatch, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C) logits over candidates, (C,) int64 (None: all items), and the auxiliary loss, a scalar zero."""
        tokens = self.tokenizer.query_tokens(queries)
        raw = self.interaction(tokens.vectors, candidates)  # (N, C)
        if self.config.history_tokens:
            return mixture_logits(raw, tokens.weights, 0.0, self.config.link), raw.new_zeros(())
        heads = raw.view(queries.batch_size, self.config.n_tokens, -1)  # (B, T, C)
        logits = torch.relu(heads).sum(1) if self.config.link == "linear" else torch.logsumexp(heads, dim=1)
        return logits, raw.new_zeros(())

    @torch.no_grad()
    def token_sample(self, queries: Histories, limit: int, seed: int) -> Tensor:
        """Continuous tokens to fit codebooks to, (N, D) float32: about `limit` head tokens of a seeded choice of queries.

        The tokens of all these queries' history items are added. Switches to evaluation mode.
        """
        n_queries = max(1, limit // self.config.n_tokens)
        if len(queries) > n_queries:
            queries = queries.take(np.sort(np.random.default_rng(seed).choice(len(queries), n_queries, replace=False)))
        heads = self.tokens(queries).flatten(0, 1)
        history = self.tokenizer.history
        return (
            heads
            if history is None
            else torch.cat([heads, history.tokens(torch.from_numpy(np.unique(queries.items).astype(np.int64)).to(heads.device))])
        )

    @torch.no_grad()
    def tokens(self, queries: Histories) -> Tensor:
        """Continuous tokens of the heads, (B, T, D) float32, in evaluation mode."""
        self.eval()
        device = device_of(self)
        return torch.cat([self.tokenizer(QueryBatch.from_histories(block, device)) for block in query_blocks(queries)])

    @torch.no_grad()
    def score(self, queries: Histories) -> np.ndarray:
        """Score every item: (B, I) float32, higher is better."""
        self.eval()
        blocks, device = query_blocks(queries, max(1, QUERY_BLOCK // 4)), device_of(self)
        return torch.cat([self(QueryBatch.from_histories(block, device))[0].cpu() for block in blocks]).numpy()
