from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.training.losses import corrected_softmax_loss, distilled_softmax_loss, sampled_softmax_loss, softmax_loss

B, C = 4, 9
LOGITS = torch.randn(B, C, generator=torch.Generator().manual_seed(1))
# The third query has no target.
TARGETS = {0: [2, 5], 1: [8], 3: [0, 1, 4]}
ROWS = torch.tensor([row for row, columns in TARGETS.items() for _ in columns])
COLUMNS = torch.tensor([column for columns in TARGETS.values() for column in columns])


def by_hand() -> float:
    return -sum(float(F.log_softmax(LOGITS[row], 0)[column]) for row, columns in TARGETS.items() for column in columns) / B


def test_softmax_loss_is_the_sum_over_targets_and_the_mean_over_queries() -> None:
    assert float(softmax_loss(LOGITS, ROWS, COLUMNS)) == pytest.approx(by_hand(), rel=1e-5)


def teacher(seed: int = 2) -> Tensor:
    return F.softmax(torch.randn(B, C, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_without_weight_the_teacher_changes_nothing() -> None:
    assert float(distilled_softmax_loss(LOGITS, ROWS, COLUMNS, teacher(), 0)) == pytest.approx(by_hand(), rel=1e-5)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_distillation_is_cross_entropy_to_the_mixture_of_targets_and_teacher(weight: float) -> None:
    expected = 0.0
    for row, columns in TARGETS.items():
        wanted = weight * len(columns) * teacher()[row]
        for column in columns:
            wanted[column] += 1 - weight
        expected -= float((wanted * F.log_softmax(LOGITS[row], 0)).sum()) / B
    assert float(distilled_softmax_loss(LOGITS, ROWS, COLUMNS, teacher(), weight)) == pytest.approx(expected, rel=1e-5)


def test_a_query_that_agrees_with_its_teacher_has_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    distilled_softmax_loss(logits, ROWS, COLUMNS, F.softmax(LOGITS, dim=1), 1).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-6, rtol=0)


def test_sampled_softmax_puts_each_target_against_the_negatives_alone() -> None:
    n_negatives, n_items = 6, 600
    expected = 0.0
    for row, columns in {0: [6, 7], 1: [8], 3: [7]}.items():
        others = sum(math.exp(float(LOGITS[row, negative])) for negative in range(n_negatives)) * n_items / n_negatives
        for column in columns:
            target = math.exp(float(LOGITS[row, column]))
            expected -= math.log(target / (target + others)) / B
    rows, columns = torch.tensor([0, 0, 1, 3]), torch.tensor([6, 7, 8, 7])
    assert float(sampled_softmax_loss(LOGITS, rows, columns, n_negatives, n_items)) == pytest.approx(expected, rel=1e-5)


def test_sampled_softmax_approaches_the_full_one() -> None:
    n_items = 2000
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(1, n_items, generator=generator)
    full = float(softmax_loss(scores, torch.tensor([0]), torch.tensor([7])))
    drawn = torch.randint(n_items, (1500,), generator=generator)
    sampled = sampled_softmax_loss(torch.cat([scores[:, drawn], scores[:, 7:8]], 1), torch.tensor([0]), torch.tensor([1500]), 1500, n_items)
    assert float(sampled) == pytest.approx(full, abs=0.1)


def test_with_every_item_drawn_as_often_as_expected_the_corrected_loss_is_the_full_one() -> None:
    assert float(corrected_softmax_loss(LOGITS, ROWS, COLUMNS, torch.zeros(C))) == pytest.approx(by_hand(), rel=1e-5)


def test_corrected_softmax_weighs_negatives_and_takes_every_own_target_once() -> None:
    log_weights = torch.randn(C, generator=torch.Generator().manual_seed(5))
    log_weights[[1, 5]] = -torch.inf
    logits, expected = LOGITS.clone().requires_grad_(), 0.0
    for row, columns in TARGETS.items():
        terms = [float(LOGITS[row, c].exp() * (1 if c in columns else log_weights[c].exp())) for c in range(C)]
        expected -= sum(math.log(float(LOGITS[row, column].exp()) / sum(terms)) for column in columns) / B
    loss = corrected_softmax_loss(logits, ROWS, COLUMNS, log_weights)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    # The loss does not change when all of a query's logits move together.
    torch.testing.assert_close(logits.grad.sum(1), torch.zeros(B), atol=1e-6, rtol=0)


WEIGHTS = torch.tensor([0.5, 2.0, 3.0, 0.25])
LOSSES = {
    "softmax": lambda logits, rows, columns, weights: softmax_loss(logits, rows, columns, weights),
    "distilled": lambda logits, rows, columns, weights: distilled_softmax_loss(logits, rows, columns, teacher(), 0.3, weights),
    "sampled": lambda logits, rows, columns, weights: sampled_softmax_loss(logits, rows, columns, 4, 600, weights),
    "corrected": lambda logits, rows, columns, weights: corrected_softmax_loss(logits, rows, columns, torch.zeros(C), weights),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_weights_multiply_what_queries_add_to_the_loss(kind: str) -> None:
    def gradient(weights: Tensor | None) -> Tensor:
        logits = LOGITS.clone().requires_grad_()
        loss = LOSSES[kind](logits, ROWS, COLUMNS, weights)
        loss.backward()
        return logits.grad

    torch.testing.assert_close(gradient(WEIGHTS), WEIGHTS[:, None] * gradient(None))
    unweighted = LOSSES[kind](LOGITS, ROWS, COLUMNS, None)
    torch.testing.assert_close(LOSSES[kind](LOGITS, ROWS, COLUMNS, torch.full((B,), 2.0)), 2 * unweighted)
