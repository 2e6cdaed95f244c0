"""All-to-all interaction encoder ``E(token, item)``: any network may score a (token, item) pair."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import ModelConfig
from sparcode.model.pair_kernel import pair_hidden


class MlpInteraction(nn.Module):
    """A dot product with an item bias, and an MLP over the pair as a learned correction.

    The MLP's first layer is linear in token and item, so it splits into a token part and an item part that are computed once each and
    added per pair; the concatenated pair is never built. The correction starts near zero: training starts from a two-tower score.

    Parameters
    ----------
    n_items
        I.
    config
        Sizes.
    """

    def __init__(self, n_items: int, config: ModelConfig) -> None:
        super().__init__()
        self.n_items = n_items
        self.items = nn.Embedding(n_items, config.token_dim)
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.token_part = nn.Linear(config.token_dim, config.interaction_dim)
        self.item_part = nn.Linear(config.token_dim, config.interaction_dim, bias=False)
        signs = torch.ones(config.interaction_dim)
        signs[1::2] = -1
        self.output = nn.Parameter(0.1 * config.interaction_dim**-0.5 * signs)

    def forward(self, tokens: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Score every (token, item) pair.

        Parameters
        ----------
        tokens
            (N, D) float32.
        candidates
            (C,) int64 item indices; None scores all items.

        Returns
        -------
        Tensor
            (N, C) or (N, I) float32, before the link.
        """
        vectors, bias = self.items.weight, self.item_bias
        if candidates is not None:
            # Unlike plain indexing, these add gradients up in the same order every time.
            vectors, bias = F.embedding(candidates, vectors), bias.index_select(0, candidates)
        dot = torch.addmm(bias, tokens, vectors.T)  # (N, C)
        return dot + pair_hidden(self.token_part(tokens), self.item_part(vectors).T, self.output)
