"""Tokenizer: a query (an interaction history) becomes T tokens of D dimensions (SparCode, arXiv 2311.18213)."""

from __future__ import annotations

from torch import Tensor, nn

from sparcode.config import ModelConfig
from sparcode.model.query_batch import QueryBatch
from sparcode.model.query_encoder import ENCODERS


class Tokenizer(nn.Module):
    """Query encoder and T linear heads: queries -> (B, T, D).

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

    def forward(self, queries: QueryBatch) -> Tensor:
        """Tokens of a batch.

        Returns
        -------
        Tensor
            (B, T, D) float32.
        """
        return self.heads(self.encoder(queries)).view(-1, self.n_tokens, self.token_dim)  # (B, T, D)
