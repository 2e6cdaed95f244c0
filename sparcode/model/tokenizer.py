"""Tokenizer: a query (an interaction history) becomes T tokens of D dimensions (SparCode, arXiv 2311.18213).

The latest items of a history may add tokens of their own. A history token depends on its item alone, so an item's codes are the same in
every query. A gate weighs the item for the query: ``w = exp(bias_item + key_item . G hidden)``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import ModelConfig
from sparcode.model.encoding_kernels import Gates, Network
from sparcode.model.query_batch import QueryBatch
from sparcode.model.query_encoder import ENCODERS
from sparcode.model.tensor_views import TensorViews
from sparcode.model.weighted_tokens import WeightedTokens

GATE_DIM = 32
# Unit vectors score within 1 of each other: too flat a distribution over a catalogue to start from.
FIRST_LENGTH = 4.0
# exp(8) to exp(-8): one item may count as much as all others together, and none leaves the range of a float32 sum.
LARGEST_GATE = 8.0


class QueryTokens(NamedTuple):
    """Tokens of a batch, and which of them each query uses.

    `vectors` are (N, D) float32: the heads' tokens, query by query, then the history items' tokens. `weights` are 1 for heads, as in the
    paper, and the gates for history items.
    """

    vectors: Tensor
    weights: WeightedTokens


class HistoryTokens(nn.Module):
    """A token and a gate per item; the `history_tokens` latest items of a query are used."""

    def __init__(self, n_items: int, config: ModelConfig) -> None:
        super().__init__()
        self.latest = config.history_tokens
        self.tokens = nn.Embedding(n_items, config.token_dim)
        self.gate_key = nn.Embedding(n_items, GATE_DIM)
        self.gate_bias = nn.Parameter(torch.zeros(n_items))
        # Zero: every item counts as much as a head at first, whatever the query.
        self.gate_query = nn.Parameter(torch.zeros(GATE_DIM, config.hidden_dim))
        self.views = TensorViews(Gates)

    def forward(self, queries: QueryBatch, hidden: Tensor) -> tuple[Tensor, WeightedTokens]:
        """(U, D) float32 tokens of the items in use, each once, and each query's weights; `hidden` is the encoder's (B, H) float32."""
        items, weights = self.used(queries, hidden)
        return self.tokens(items), weights

    def used(self, queries: QueryBatch, hidden: Tensor) -> tuple[Tensor, WeightedTokens]:
        """The items in use, (U,) int64, each once, and each query's weights of them."""
        lengths = queries.lengths
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        place_from_end = queries.offsets[1:][rows] - torch.arange(len(rows), device=rows.device)
        latest = place_from_end <= self.latest
        items, rows = queries.items[latest], rows[latest]
        distinct, columns = items.unique(return_inverse=True)
        # Unlike plain indexing, an embedding adds gradients up in the same order every time.
        asked = F.embedding(rows, F.linear(hidden, self.gate_query))  # (n, GATE_DIM)
        bias = F.embedding(items, self.gate_bias[:, None])[:, 0]
        gate = (self.gate_key(items) * asked).sum(1) + bias
        weights = gate.clamp(-LARGEST_GATE, LARGEST_GATE).exp()
        offsets = F.pad(lengths.clamp(max=self.latest).cumsum(0), (1, 0))
        return distinct, WeightedTokens(columns, weights, offsets)


class Tokenizer(nn.Module):
    """Query encoder and T linear heads, queries -> (B, T, D); optionally with tokens of the latest history items."""

    def __init__(self, n_items: int, config: ModelConfig, dropout: float, n_features: int = 0) -> None:
        super().__init__()
        self.n_tokens, self.token_dim = config.n_tokens, config.token_dim
        self.encoder = ENCODERS[config.encoder](n_items, config, dropout, n_features)
        self.heads = nn.Linear(config.hidden_dim, config.n_tokens * config.token_dim)
        self.history = HistoryTokens(n_items, config) if config.history_tokens else None
        self.network_views = TensorViews(Network.of)

    def forward(self, queries: QueryBatch) -> Tensor:
        """The heads' tokens of a batch, (B, T, D) float32."""
        return self._heads(self.encoder(queries))

    def query_tokens(self, queries: QueryBatch) -> QueryTokens:
        """All tokens of a batch, heads and history."""
        hidden = self.encoder(queries)
        heads = self._heads(hidden).flatten(0, 1)  # (B * T, D)
        columns = torch.arange(len(heads), device=heads.device).view(-1, self.n_tokens)
        weights = WeightedTokens.rectangular(columns, torch.ones_like(columns, dtype=heads.dtype))
        if self.history is None:
            return QueryTokens(heads, weights)
        vectors, of_history = self.history(queries, hidden)
        shifted = of_history._replace(columns=of_history.columns + len(heads))
        return QueryTokens(torch.cat([heads, vectors]), weights.beside(shifted))

    def _heads(self, hidden: Tensor) -> Tensor:
        return self.heads(hidden).view(-1, self.n_tokens, self.token_dim)  # (B, T, D)
