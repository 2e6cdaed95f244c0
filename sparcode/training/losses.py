"""Losses: pure functions of logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def softmax_loss(logits: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Full softmax over all candidates: mean over queries of ``-sum over targets log p(target)``.

    Parameters
    ----------
    logits
        (B, C) float32.
    rows, columns
        (n,) int64: query and candidate of every target, no pair twice.
    """
    # Normalisers are counted rather than gathered per target: gradients of repeated gathers add up in no fixed order.
    counts = torch.bincount(rows, minlength=len(logits))
    return ((counts * torch.logsumexp(logits, dim=1)).sum() - logits[rows, columns].sum()) / len(logits)


def distilled_softmax_loss(logits: Tensor, rows: Tensor, columns: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """Full softmax towards a mixture of the real targets and a teacher's distribution (Hinton et al., arXiv 1503.02531).

    A query with n targets counts as n draws, of which the share `weight` follows the teacher.

    Parameters
    ----------
    logits
        (B, C) float32.
    rows, columns
        As for `softmax_loss`.
    teacher
        (B, C) float32, each row a distribution.
    weight
        Share of the teacher, in [0, 1]; 0 is `softmax_loss`.
    """
    counts = torch.bincount(rows, minlength=len(logits))
    soft = (counts * (teacher * logits).sum(dim=1)).sum()
    normalisers = (counts * torch.logsumexp(logits, dim=1)).sum()
    return (normalisers - (1 - weight) * logits[rows, columns].sum() - weight * soft) / len(logits)


def sampled_softmax_loss(logits: Tensor, rows: Tensor, columns: Tensor, n_negatives: int, n_items: int) -> Tensor:
    """Softmax over each target and the shared negatives, which stand for the whole catalogue.

    The negatives are drawn uniformly, so each stands for ``n_items / n_negatives`` items: its logit is shifted by the logarithm (the
    sampling correction of Bengio and Senecal).

    Parameters
    ----------
    logits
        (B, C) float32; the first `n_negatives` columns are the shared negatives, the rest are targets of the batch.
    rows, columns
        (n,) int64: query and candidate of every target, no pair twice; columns at or past `n_negatives`.

    Returns
    -------
    Tensor
        Scalar: mean over queries of the sum over targets.
    """
    negatives = torch.logsumexp(logits[:, :n_negatives], dim=1) + math.log(n_items / n_negatives)
    positives = logits[rows, columns]
    normalisers = torch.logaddexp(positives, negatives.index_select(0, rows))
    return (normalisers - positives).sum() / len(logits)


def corrected_softmax_loss(logits: Tensor, rows: Tensor, columns: Tensor, log_weights: Tensor) -> Tensor:
    """Softmax over each query's targets and weighted negatives, which stand for the whole catalogue.

    A query's own targets have weight 1, drawn or not. Where the weight of a drawn item is one over its expected count (log-Q correction),
    the normaliser is that of the full softmax in expectation over the draws.

    Parameters
    ----------
    logits
        (B, C) float32, no item in two columns.
    rows, columns
        (n,) int64: query and candidate of every target, no pair twice.
    log_weights
        (C,) float32: logarithm of each candidate's weight, minus log q for an expected count of q; -inf where it is no negative.

    Returns
    -------
    Tensor
        Scalar: mean over queries of the sum over targets.
    """
    counts = torch.bincount(rows, minlength=len(logits))
    positives = logits[rows, columns]
    weighted = (logits + log_weights).index_put((rows, columns), positives)
    return ((counts * torch.logsumexp(weighted, dim=1)).sum() - positives.sum()) / len(logits)
