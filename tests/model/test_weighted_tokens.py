from __future__ import annotations

import torch

from sparcode.model.weighted_tokens import WeightedTokens

# Three queries: numbers 2 (twice) and 0; none; number 1.
USE = WeightedTokens(torch.tensor([2, 0, 2, 1]), torch.tensor([0.5, 1.0, 2.0, 3.0]), torch.tensor([0, 3, 3, 4]))
SCORES = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])


def test_mixing_adds_up_weighted_rows() -> None:
    assert USE.mix(SCORES).tolist() == [[11.0, 110.0], [0.0, 0.0], [6.0, 60.0]]


def test_merging_keeps_the_sums_and_names_each_number_once() -> None:
    merged = USE.merged()
    assert merged.columns.tolist() == [0, 2, 1]
    assert merged.weights.tolist() == [1.0, 2.5, 3.0]
    assert merged.offsets.tolist() == [0, 2, 2, 3]
    torch.testing.assert_close(merged.mix(SCORES), USE.mix(SCORES))


def test_merging_passes_gradients_to_every_entry() -> None:
    weights = USE.weights.clone().requires_grad_()
    USE._replace(weights=weights).merged().mix(SCORES).sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [44.0, 11.0, 44.0, 22.0]


def test_numbers_are_replaced_by_what_they_stand_for() -> None:
    columns, weights = torch.tensor([[5, 6], [7, 5], [6, 7]]), torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    through = USE.through(columns, weights)
    assert through.columns.tolist() == [6, 7, 5, 6, 6, 7, 7, 5]
    assert through.weights.tolist() == [0.25, 0.25, 0.25, 0.75, 1.0, 1.0, 3.0, 0.0]
    assert through.offsets.tolist() == [0, 6, 6, 8]


def test_short_rows_are_filled_up_with_weight_zero() -> None:
    use = WeightedTokens(torch.tensor([4, 9, 3]), torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0, 2, 3]))
    columns, weights = use.padded(3)
    assert columns.tolist() == [[4, 9, 4], [3, 3, 3]]
    assert weights.tolist() == [[0.5, 1.0, 0.0], [2.0, 0.0, 0.0]]


def test_two_uses_stand_side_by_side() -> None:
    other = WeightedTokens(torch.tensor([8, 9]), torch.tensor([1.0, 1.0]), torch.tensor([0, 1, 2, 2]))
    both = USE.beside(other)
    assert both.columns.tolist() == [2, 0, 2, 8, 9, 1]
    assert both.offsets.tolist() == [0, 4, 5, 6]


def test_a_rectangle_is_read_row_by_row() -> None:
    use = WeightedTokens.rectangular(torch.tensor([[0, 1], [2, 2]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert use.offsets.tolist() == [0, 2, 4]
    assert use.rows.tolist() == [0, 0, 1, 1]
    assert use.mix(SCORES).tolist() == [[5.0, 50.0], [28.0, 280.0]]
