from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sparcode.model.pair_kernel import pair_hidden

# (N, H, I), all different; odd sizes leave remainders in every loop and chunk.
SIZES = [(1, 2, 3), (5, 3, 7), (17, 1, 33), (2, 9, 1), (33, 13, 129)]


@pytest.fixture(params=[1, 2])
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def naive(token: Tensor, item: Tensor, weight: Tensor) -> Tensor:
    hidden = torch.relu(token[:, :, None] + item[None])  # (N, H, I)
    return (hidden * weight[None, :, None]).sum(1)


def inputs(size: tuple[int, int, int], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    n_tokens, n_hidden, n_items = size
    generator = torch.Generator().manual_seed(sum(size))
    shapes = [(n_tokens, n_hidden), (n_hidden, n_items), (n_hidden,)]
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("n_threads")
def test_forward_and_gradients_equal_the_naive_layer(size: tuple[int, int, int]) -> None:
    ours, theirs = inputs(size), [tensor.detach().double().requires_grad_() for tensor in inputs(size)]
    out, expected = pair_hidden(*ours), naive(*theirs)
    assert out.shape == (size[0], size[2])
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    out.backward(upstream)
    expected.backward(upstream.double())
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad.shape == one.shape
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("n_threads")
def test_an_expanded_gradient_and_transposed_inputs_are_taken() -> None:
    token, item, weight = inputs((6, 4, 11))
    out = pair_hidden(token.detach().T.contiguous().T.requires_grad_(), item.detach().T.contiguous().T, weight)
    out.sum().backward()  # the gradient is one number, expanded
    (expected,) = torch.autograd.grad(naive(token, item, weight).sum(), weight)
    torch.testing.assert_close(weight.grad, expected, rtol=1e-5, atol=1e-5)


def test_double_precision_takes_the_plain_path_and_passes_gradcheck() -> None:
    assert torch.autograd.gradcheck(pair_hidden, inputs((4, 3, 5), torch.float64), atol=1e-6)


def test_both_paths_agree_at_the_kink() -> None:
    token = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    item = torch.tensor([[-1.0, 1.0, 0.0]])  # sums of exactly 0 have no gradient
    pair_hidden(token, item, torch.tensor([2.0])).sum().backward()
    assert token.grad.tolist() == [[4.0], [0.0]]


def test_no_tokens_give_no_rows() -> None:
    token, item, weight = inputs((1, 4, 5))
    out = pair_hidden(token[:0], item, weight)
    assert out.shape == (0, 5)


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        tensors = inputs((33, 13, 129))
        out = pair_hidden(*tensors)
        out.square().sum().backward()
        results.append([out, *(tensor.grad for tensor in tensors)])
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
