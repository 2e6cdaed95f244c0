"""Losses: pure functions of logits.

Each is a mean over queries of sums over their targets. `weights`, (B,) float32, multiply the queries' sums; None: all are 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def softmax_loss(logits: Tensor, rows: Tensor, columns: Tensor, weights: Tensor | None = None) -> Tensor:
    """Full softmax over (B, C) logits: mean over queries of ``-sum over targets log p(target)``.

    `rows` and `columns` are (n,) int64: query and candidate of every target, no pair twice.
    """
    # Normalisers are counted rather than gathered per target: gradients of repeated gathers add up in no fixed order.
    counts = _counts(logits, rows, weights)
    return ((counts * torch.logsumexp(logits, dim=1)).sum() - _total(logits[rows, columns], rows, weights)) / len(logits)


def distilled_softmax_loss(
    logits: Tensor, rows: Tensor, columns: Tensor, teacher: Tensor, weight: float, weights: Tensor | None = None
) -> Tensor:
    """Full softmax towards a mixture of the real targets and a teacher's distribution (Hinton et al., arXiv 1503.02531).

    A query with n targets counts as n draws, of which the share `weight` in [0, 1] follows the teacher's (B, C) float32 distributions.
    Others as for `softmax_loss`.
    """
    counts = _counts(logits, rows, weights)
    soft = (counts * (teacher * logits).sum(dim=1)).sum()
    normalisers = (counts * torch.logsumexp(logits, dim=1)).sum()
    return (normalisers - (1 - weight) * _total(logits[rows, columns], rows, weights) - weight * soft) / len(logits)


def sampled_softmax_loss(
    logits: Tensor, rows: Tensor, columns: Tensor, n_negatives: int, n_items: int, weights: Tensor | None = None
) -> Tensor:
    """Softmax over each target and shared uniform negatives: mean over queries of the sum over targets.

    A negative stands for ``n_items / n_negatives`` items, so its logit is shifted by the logarithm (Bengio and Senecal's correction). The
    first `n_negatives` columns of the (B, C) logits are the negatives, the rest the batch's targets. Others as for `softmax_loss`.
    """
    negatives = torch.logsumexp(logits[:, :n_negatives], dim=1) + math.log(n_items / n_negatives)
    positives = logits[rows, columns]
    normalisers = torch.logaddexp(positives, negatives.index_select(0, rows))
    return _total(normalisers - positives, rows, weights) / len(logits)


def corrected_softmax_loss(logits: Tensor, rows: Tensor, columns: Tensor, log_weights: Tensor, weights: Tensor | None = None) -> Tensor:
    """Softmax over each query's targets and weighted negatives: mean over queries of the sum over targets.

    A query's own targets have weight 1, drawn or not. With weights of one over the expected count (log-Q correction) the normaliser is that
    of the full softmax in expectation over the draws. `log_weights` are (C,) float32, -inf where a candidate is no negative; columns are
    distinct items. Others as for `softmax_loss`.
    """
    counts = _counts(logits, rows, weights)
    positives = logits[rows, columns]
    weighted = (logits + log_weights).index_put((rows, columns), positives)
    return ((counts * torch.logsumexp(weighted, dim=1)).sum() - _total(positives, rows, weights)) / len(logits)


def _counts(logits: Tensor, rows: Tensor, weights: Tensor | None) -> Tensor:
    """(B,), how often each query's normaliser counts."""
    counts = torch.bincount(rows, minlength=len(logits))
    return counts if weights is None else counts * weights


def _total(values: Tensor, rows: Tensor, weights: Tensor | None) -> Tensor:
    """The sum of a value per target."""
    return values.sum() if weights is None else (values * weights.index_select(0, rows)).sum()
