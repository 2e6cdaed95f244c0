"""Sparse score ``y = sum_t w_t * ReLU(E(z_t, item) - tau)`` (SparCode, arXiv 2311.18213) and the link that makes E of a raw output.

With the ``exp`` link ``E = exp(raw)`` is positive and y is a mixture: a query's tokens (or nearest codes) each propose items, and an item
that fits any one of them scores. Most of a mixture's mass lies in few items, so cutting small scores costs little accuracy. Training then
normalises y itself, ``p(item) = y / sum(y)``. With the ``linear`` link E is the raw output and y is a logit, as in the paper.
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
    """Sparse scores of a batch.

    Parameters
    ----------
    raw
        (U, C) raw outputs of U distinct tokens or codes.
    weights
        Which tokens or codes a query uses, with weights w; a repeated one counts as often as it stands there.

    Returns
    -------
    Tensor
        (B, C) float32, not negative.
    """
    return weights.mix(F.relu(apply_link(raw, link) - threshold))


def mixture_logits(raw: Tensor, weights: WeightedTokens, threshold: float | Tensor, link: Link) -> Tensor:
    """Logits for the softmax loss: y for the linear link, log y for the exp link (computed without overflow).

    The exp link is trained with every score kept (tau = 0): gradients reach items below the threshold too, and the threshold that is set
    afterwards hardly changes the ranking. The linear link is trained under its threshold.

    Parameters
    ----------
    raw, weights, threshold, link
        As for `sparse_score`.

    Returns
    -------
    Tensor
        (B, C) float32.
    """
    if link == "linear":
        return sparse_score(raw, weights, threshold, link)
    # Per item, so that a score far below another item's largest one still has a logarithm and a gradient.
    highest = raw.detach().amax(dim=0)  # (C,)
    return torch.log(weights.mix((raw - highest).exp()) + 1e-30) + highest
