"""Tokenizer: a query (an interaction history) becomes T tokens of D dimensions (SparCode, arXiv 2311.18213)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparcode.config import ModelConfig
from sparcode.model.history_tokens import HistoryTokens
from sparcode.model.query_batch import QueryBatch
from sparcode.model.query_encoder import ENCODERS
from sparcode.model.weighted_tokens import WeightedTokens


class QueryTokens(NamedTuple):
    """Tokens of a batch, and which of them each query uses.

    Attributes
    ----------
    vectors
        (N, D) float32: the heads' tokens, query by query, then the tokens of the history items in use.
    use
        Heads count 1, as in the paper; history items as their gates say.
    """

    vectors: Tensor
    use: WeightedTokens


class Tokenizer(nn.Module):
    """Query encoder and T linear heads, queries -> (B, T, D); beside them the latest history items, where the settings ask for them.

    Parameters
    ----------
    n_items
        I.
    config
        Encoder and shapes.
    dropout
        Dropout of the encoder.
    n_features
        Side features per user; 0 for none.
    """

    def __init__(self, n_items: int, config: ModelConfig, dropout: float, n_features: int = 0) -> None:
        super().__init__()
        self.n_tokens, self.token_dim = config.n_tokens, config.token_dim
        self.encoder = ENCODERS[config.encoder](n_items, config, dropout, n_features)
        self.heads = nn.Linear(config.hidden_dim, config.n_tokens * config.token_dim)
        self.history = HistoryTokens(n_items, config) if config.history_tokens else None

    def forward(self, queries: QueryBatch) -> Tensor:
        """Tokens of a batch.

        Returns
        -------
        Tensor
            (B, T, D) float32.
        """
        return self._heads(self.encoder(queries))

    def query_tokens(self, queries: QueryBatch) -> QueryTokens:
        """All tokens of a batch, heads and history."""
        hidden = self.encoder(queries)
        heads = self._heads(hidden).flatten(0, 1)  # (B * T, D)
        columns = torch.arange(len(heads), device=heads.device).view(-1, self.n_tokens)
        use = WeightedTokens.rectangular(columns, torch.ones_like(columns, dtype=heads.dtype))
        if self.history is None:
            return QueryTokens(heads, use)
        vectors, of_history = self.history(queries, hidden)
        shifted = of_history._replace(columns=of_history.columns + len(heads))
        return QueryTokens(torch.cat([heads, vectors]), use.beside(shifted))

    def _heads(self, hidden: Tensor) -> Tensor:
        return self.heads(hidden).view(-1, self.n_tokens, self.token_dim)  # (B, T, D)
