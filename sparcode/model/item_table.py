"""Item vectors and biases: what two-tower and every interaction network know of an item."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ItemTable(nn.Module):
    """An embedding per item, plus a linear map of its side features (genres, content vectors), and a bias.

    Parameters
    ----------
    n_items
        I.
    dim
        D.
    features
        (I, F) float32 side features; None for none.
    """

    def __init__(self, n_items: int, dim: int, features: Tensor | None = None) -> None:
        super().__init__()
        if features is not None and (features.ndim != 2 or len(features) != n_items):
            raise ValueError(f"item features must be ({n_items}, F); got {tuple(features.shape)}")
        self.embedding = nn.Embedding(n_items, dim)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.register_buffer("features", features)
        self.feature_map = None if features is None else nn.Linear(features.shape[1], dim, bias=False)

    def forward(self, candidates: Tensor | slice | None = None) -> tuple[Tensor, Tensor]:
        """Vectors (C, D) and biases (C,) of the candidates (C,) int64, or of a run of items without a copy; None: of all items."""
        vectors, bias, features = self.embedding.weight, self.bias, self.features
        if isinstance(candidates, slice):
            vectors, bias = vectors[candidates], bias[candidates]
            features = None if features is None else features[candidates]
        elif candidates is not None:
            # Unlike plain indexing, these add gradients up in the same order every time.
            vectors, bias = F.embedding(candidates, vectors), bias.index_select(0, candidates)
            features = None if features is None else features[candidates]
        return (vectors if features is None else vectors + self.feature_map(features)), bias
