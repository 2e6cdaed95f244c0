"""Sparse score ``y = sum_t w_t * ReLU(E(z_t, item) - tau)`` (SparCode, arXiv 2311.18213) and the link from raw outputs to E.

With the ``exp`` link ``E = exp(raw)`` is positive and y is a mixture: an item that fits any one token (or nearest code) scores. Few items
hold most of its mass, so cutting small scores costs little accuracy. Training normalises y itself, ``p(item) = y / sum(y)``. With the
``linear`` link E is the raw output and y is a logit, as in the paper.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.model.weighted_tokens import WeightedTokens

Link = Literal["exp", "linear"]
# exp(30) leaves eight powers of ten to the largest float32, enough to add many lists.
LARGEST_RAW = 30.0


def apply_link(raw: Tensor, link: Link) -> Tensor:
    """Score E of the interaction network's raw output, same shape."""
    return raw.clamp(max=LARGEST_RAW).exp() if link == "exp" else raw


def sparse_score(raw: Tensor, weights: WeightedTokens, threshold: float | Tensor, link: Link) -> Tensor:
    """(B, C) float32 sparse scores, not negative, from (U, C) raw outputs of U distinct tokens or codes and the queries' weights of them.

    A repeated entry counts as often as it occurs.
    """
    return weights.mix(F.relu(apply_link(raw, link) - threshold))


def mixture_logits(raw: Tensor, weights: WeightedTokens, threshold: float | Tensor, link: Link) -> Tensor:
    """(B, C) float32 logits for the softmax loss: y for the linear link, log y (without overflow) for the exp link.

    The exp link is trained with tau = 0: gradients reach all items, and the threshold set afterwards hardly changes the ranking. The linear
    link is trained under its threshold. Arguments as for `sparse_score`.
    """
    if link == "linear":
        return sparse_score(raw, weights, threshold, link)
    # Per item, so that a score far below another item's largest one still has a logarithm and a gradient.
    highest = raw.detach().amax(dim=0)  # (C,)
    return torch.log(weights.mix((raw - highest).exp()) + 1e-30) + highest
