"""The two-tower model: one vector per query, one per item, a dot product (the paper's baseline, DSSM / YouTubeDNN)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.compiled_encoder import compiled_tokens
from sparcode.model.encoding_kernels import normalise
from sparcode.model.interaction import ItemTable
from sparcode.model.query_batch import QueryBatch, query_blocks
from sparcode.model.tokenizer import Tokenizer
from sparcode.model.trainable import TrainableModel


class TwoTowerModel(TrainableModel):
    """SparCode's query encoder with one head, (I, F) float32 `item_features` (None: none), item vectors and an item bias.

    The score is the inner product, or with `score` "cosine" the cosine over a learnt temperature, and the bias. `n_tokens` and
    `history_tokens` of the settings are not used.
    """

    def __init__(
        self, n_items: int, config: ModelConfig, dropout: float = 0.0, n_features: int = 0, item_features: Tensor | None = None
    ) -> None:
        super().__init__()
        self.n_items, self.config = n_items, config
        self.tokenizer = Tokenizer(n_items, config.model_copy(update={"n_tokens": 1, "history_tokens": 0}), dropout, n_features)
        self.items = ItemTable(n_items, config, item_features)

    def forward(self, queries: QueryBatch, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of a batch over candidates (None: all items), and the auxiliary loss, a scalar zero."""
        vectors, bias = self.items(candidates)
        logits = (self.items.meet(self.tokenizer(queries)[:, 0]) @ vectors.T).add_(bias)  # (B, C)
        return logits, logits.new_zeros(())

    def query_vectors(self, queries: Histories) -> np.ndarray:
        """(B, D + 1) float32: the query vector, of length 1 for cosine scores, and a one for the item bias."""
        tokenizer = self._modules["tokenizer"]  # as an attribute it would take a third of a microsecond
        if self.training or tokenizer.training:
            self.eval()
        vectors = np.empty((len(queries), tokenizer.token_dim + 1), dtype=np.float32)
        vectors[:, -1] = 1
        if not compiled_tokens(tokenizer, queries, vectors):
            self._vectors_by_torch(queries, vectors)
        if self.config.score == "cosine":
            normalise(vectors, vectors.shape[1] - 1)
        return vectors

    @torch.inference_mode()
    def _vectors_by_torch(self, queries: Histories, vectors: np.ndarray) -> None:
        start = 0
        for block in query_blocks(queries):
            tokens = self.tokenizer(QueryBatch.from_histories(block, self.items.bias.device))
            vectors[start : start + len(block), :-1] = tokens[:, 0].cpu().numpy()
            start += len(block)

    @torch.no_grad()
    def item_vectors(self) -> np.ndarray:
        """(I, D + 1) float32: the item vector and its bias; inner product with a query vector is the score."""
        vectors, bias = self.items()
        return torch.cat([vectors, bias[:, None]], dim=1).cpu().numpy()

    def score(self, queries: Histories) -> np.ndarray:
        """Score every item: (B, I) float32, higher is better."""
        return self.query_vectors(queries) @ self.item_vectors().T
