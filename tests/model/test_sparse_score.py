from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sparcode.model.sparse_score import LARGEST_RAW, Link, apply_link, mixture_logits, sparse_score
from sparcode.model.weighted_tokens import WeightedTokens

U, C = 5, 7
RAW = torch.randn(U, C, generator=torch.Generator().manual_seed(1))
COLUMNS = torch.tensor([[0, 3, 3], [4, 1, 0]])
WEIGHTS = torch.tensor([[0.5, 0.2, 0.3], [1.0, 0.0, 2.0]])
USE = WeightedTokens.rectangular(COLUMNS, WEIGHTS)


def looped(threshold: float, link: Link) -> Tensor:
    scores = torch.zeros(2, C)
    for query in range(2):
        for item in range(C):
            for column, weight in zip(COLUMNS[query].tolist(), WEIGHTS[query].tolist(), strict=True):
                raw = float(RAW[column, item])
                score = math.exp(raw) if link == "exp" else raw
                scores[query, item] += weight * max(0.0, score - threshold)
    return scores


@pytest.mark.parametrize("link", ["exp", "linear"])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 100.0])
def test_the_sparse_score_is_that_of_a_loop(threshold: float, link: Link) -> None:
    torch.testing.assert_close(sparse_score(RAW, USE, threshold, link), looped(threshold, link))


def test_the_exp_link_cannot_overflow() -> None:
    assert torch.isfinite(apply_link(torch.tensor([LARGEST_RAW, 500.0, -500.0]), "exp")).all()
    assert apply_link(RAW, "linear") is RAW


def test_linear_logits_are_the_sparse_score() -> None:
    torch.testing.assert_close(mixture_logits(RAW, USE, 0.4, "linear"), looped(0.4, "linear"))


def test_exp_logits_are_the_logarithm_of_the_unpruned_score() -> None:
    torch.testing.assert_close(mixture_logits(RAW, USE, 0.4, "exp").exp(), looped(0.0, "exp"))


def test_exp_logits_hold_for_raw_outputs_no_float_can_exponentiate() -> None:
    raw = torch.tensor([[200.0, -200.0, 3.0]], requires_grad=True)
    logits = mixture_logits(raw, WeightedTokens.rectangular(torch.tensor([[0]]), torch.tensor([[1.0]])), 0.0, "exp")
    torch.testing.assert_close(logits.detach(), torch.tensor([[200.0, -200.0, 3.0]]))
    logits.sum().backward()
    torch.testing.assert_close(raw.grad, torch.ones_like(raw))
