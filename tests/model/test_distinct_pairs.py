from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sparcode.model import distinct_pairs
from sparcode.model.distinct_pairs import distinct_pair_scores

H = 5


def problem(codes: list[int], n_items: int, n_layers: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Upstream gradient, codes, and the differentiable inputs: tokens, items, output, then weights and biases."""
    generator = torch.Generator().manual_seed(4)
    table = torch.randn(max(codes) + 1, H, generator=generator)
    shapes = [(n_items, H), (H,), *[(H, H), (H,)] * n_layers]
    inputs = [table[codes], *(torch.randn(shape, generator=generator) for shape in shapes)]
    return torch.randn(len(codes), n_items, generator=generator), torch.tensor(codes), [value.requires_grad_() for value in inputs]


def plainly(inputs: list[Tensor]) -> Tensor:
    tokens, items, output, *layers = inputs
    hidden = torch.relu(tokens[:, None] + items)
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        hidden = torch.relu(hidden @ weight.T + bias)
    return hidden @ output


def by_code(inputs: list[Tensor], codes: Tensor) -> Tensor:
    tokens, items, output, *layers = inputs
    return distinct_pair_scores(tokens, codes, items, list(zip(layers[::2], layers[1::2], strict=True)), output)


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
@pytest.mark.parametrize("n_layers", [0, 1, 2])
@pytest.mark.parametrize("codes", [[3], [7, 2, 7, 7, 0, 2, 9], list(range(6)), [1] * 8])
def test_scores_and_gradients_equal_those_token_by_token(
    codes: list[int], n_layers: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct_pairs, "BLOCK_VALUES", block)
    for n_items in (1, 4):
        upstream, numbers, inputs = problem(codes, n_items, n_layers)
        ours, theirs = by_code(inputs, numbers), plainly(inputs)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        found = torch.autograd.grad((ours * upstream).sum(), inputs)
        expected = torch.autograd.grad((theirs * upstream).sum(), inputs)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_same_twice_to_the_bit() -> None:
    upstream, codes, inputs = problem([i % 7 for i in range(50)], 30, 2)
    one, two = (torch.autograd.grad((by_code(inputs, codes) * upstream).sum(), inputs) for _ in range(2))
    assert all(torch.equal(first, second) for first, second in zip(one, two, strict=True))
