"""Query encoders: an interaction history and its user's side features become one hidden vector.

``mean`` is the pooled DNN of DSSM and YouTubeDNN, ``gru`` GRU4Rec (Hidasi et al., arXiv 1511.06939), ``sasrec`` causal self-attention (Kang
and McAuley, arXiv 1808.09781).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import ModelConfig
from sparcode.model.initialisation import SeededDropout
from sparcode.model.query_batch import QueryBatch


class MeanEncoder(nn.Module):
    """Pooled history, then a DNN, as in DSSM and YouTubeDNN.

    The pool is the sum of item embeddings over the square root of the history's length: a sum is dominated by long histories, a mean
    shrinks with them. An empty history pools to zero. Side features of the user are added to the pool.
    """

    def __init__(self, n_items: int, config: ModelConfig, dropout: float, n_features: int = 0) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(n_items, config.hidden_dim, mode="sum", include_last_offset=True)
        self.features = _feature_layer(n_features, config.hidden_dim)
        self.dropout = SeededDropout(dropout)
        self.hidden = nn.Linear(config.hidden_dim, config.hidden_dim)

    def forward(self, queries: QueryBatch) -> Tensor:
        """Encode queries to (B, hidden_dim)."""
        pooled = self.embedding(queries.items, queries.offsets) / queries.lengths.clamp(min=1).sqrt()[:, None]  # (B, hidden_dim)
        pooled = _with_features(pooled, self.features, queries)
        pooled = self.dropout(torch.tanh(pooled))
        return self.dropout(torch.tanh(self.hidden(pooled)))


class GruEncoder(nn.Module):
    """The last state of a gated recurrent unit over the latest `max_history` items; zero for an empty history."""

    def __init__(self, n_items: int, config: ModelConfig, dropout: float, n_features: int = 0) -> None:
        super().__init__()
        self.max_history = config.max_history
        self.embedding = nn.Embedding(n_items, config.hidden_dim)
        self.features = _feature_layer(n_features, config.hidden_dim)
        self.dropout = SeededDropout(dropout)
        self.gru = nn.GRU(config.hidden_dim, config.hidden_dim, batch_first=True)

    def forward(self, queries: QueryBatch) -> Tensor:
        """Encode queries to (B, hidden_dim)."""
        history, lengths = latest_items(queries, self.max_history, self.embedding.weight, self.embedding.sparse)  # (B, L, hidden_dim)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(history), lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        state = self.gru(packed)[1][0] * (lengths > 0)[:, None]  # (B, hidden_dim)
        return self.dropout(torch.tanh(_with_features(state, self.features, queries)))


class SasrecEncoder(nn.Module):
    """Causal self-attention over the latest `max_history` items; the newest position's output stands for the query.

    Positions count from the newest item, so they mean the same in every history. The last block only computes the newest position.
    """

    def __init__(self, n_items: int, config: ModelConfig, dropout: float, n_features: int = 0) -> None:
        super().__init__()
        self.max_history = config.max_history
        self.embedding = nn.Embedding(n_items, config.hidden_dim)
        self.positions = nn.Embedding(config.max_history, config.hidden_dim)
        self.features = _feature_layer(n_features, config.hidden_dim)
        self.dropout = SeededDropout(dropout)
        self.blocks = nn.ModuleList(_AttentionBlock(config, dropout) for _ in range(config.attention_blocks))
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(self, queries: QueryBatch) -> Tensor:
        """Encode queries to (B, hidden_dim)."""
        history, lengths = latest_items(queries, self.max_history, self.embedding.weight, self.embedding.sparse)  # (B, L, hidden_dim)
        return _with_features(self.newest_state(history, lengths), self.features, queries)

    def newest_state(self, history: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, L, hidden_dim) embeddings, oldest first, of which the first `lengths` (B,) count, to (B, hidden_dim)."""
        place = torch.arange(history.shape[1], device=history.device)
        newest = (lengths - 1).clamp(min=0)  # (B,)
        # Items stand first and padding last, so the causal mask alone keeps padding out of every position that is used.
        states = self.dropout(history + self.positions((newest[:, None] - place).clamp(min=0)))
        for block in self.blocks[:-1]:
            states = block(states, None)
        state = self.blocks[-1](states, newest) * (lengths > 0)[:, None]  # (B, hidden_dim)
        return self.norm(state)


class _AttentionBlock(nn.Module):
    """Pre-norm attention and feed-forward network, each with a residual."""

    def __init__(self, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        width = config.hidden_dim
        self.n_heads = config.attention_heads
        self.attention_norm, self.network_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value, self.merged = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = SeededDropout(dropout)

    def forward(self, states: Tensor, newest: Tensor | None) -> Tensor:
        """All positions, (B, L, H) to (B, L, H); or only position `newest` (B,) of each query, to (B, H)."""
        batch, length, width = states.shape
        normed = self.attention_norm(states)
        key, value = (self._heads(part) for part in self.key_value(normed).chunk(2, dim=-1))  # (B, heads, L, H / heads)
        if newest is None:
            asking, mask, kept = normed, None, states
        else:
            rows = torch.arange(batch, device=states.device)
            asking, kept = normed[rows, newest][:, None], states[rows, newest][:, None]  # (B, 1, H)
            mask = (torch.arange(length, device=states.device) <= newest[:, None])[:, None, None]  # (B, 1, 1, L)
        query = self._heads(self.query(asking))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=newest is None)
        mixed = kept + self.dropout(self.merged(mixed.transpose(1, 2).reshape(batch, -1, width)))
        out = mixed + self.dropout(self.narrow(F.relu(self.wide(self.network_norm(mixed)))))
        return out if newest is None else out[:, 0]

    def _heads(self, values: Tensor) -> Tensor:
        return values.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def latest_items(queries: QueryBatch, max_history: int, table: Tensor, sparse: bool = False) -> tuple[Tensor, Tensor]:
    """Each query's newest `max_history` embeddings by an (I, H) table, (B, L, H), oldest first, zeros at the end; and (B,) int64 lengths.

    L is at least 1. The table's gradient is `sparse` or not.
    """
    lengths = queries.lengths.clamp(max=max_history)
    rows = torch.repeat_interleave(torch.arange(queries.batch_size, device=lengths.device), queries.lengths)
    place = torch.arange(len(queries.items), device=lengths.device) - (queries.offsets[1:] - lengths)[rows]
    kept = place >= 0
    padded = table.new_zeros(queries.batch_size, max(1, int(lengths.max()) if len(lengths) else 1), table.shape[1])
    # Every place is written once; the embedding adds gradients of repeated items up in the same order every time.
    return padded.index_put((rows[kept], place[kept]), F.embedding(queries.items[kept], table, sparse=sparse)), lengths


def check_features(layer: nn.Linear, features: Tensor | np.ndarray | None) -> None:
    """ValueError unless queries have as many side features, (B, F), as the layer for them takes."""
    if features is None or features.shape[1] != layer.in_features:
        got = "none" if features is None else features.shape[1]
        raise ValueError(f"the model was trained with {layer.in_features} side features per user; the queries have {got}")


ENCODERS: dict[str, type[nn.Module]] = {"mean": MeanEncoder, "gru": GruEncoder, "sasrec": SasrecEncoder}


def _feature_layer(n_features: int, width: int) -> nn.Linear | None:
    return nn.Linear(n_features, width, bias=False) if n_features else None


def _with_features(hidden: Tensor, layer: nn.Linear | None, queries: QueryBatch) -> Tensor:
    if layer is None:
        return hidden
    check_features(layer, queries.features)
    return hidden + layer(queries.features)
