"""A deep pair network run once per distinct code, with the exact gradient of every token.

Tokens of the same code have the same scores, so the network runs on (code, item) pairs. Its parameters and the items see a code's tokens
only through the sum of their upstream gradients, so most of the backward pass runs on those pairs too. Only the straight-through token
gradients differ: with ``d[u, i]`` the derivative of a pair's score by its first layer, token t of code u gets ``sum_i g[t, i] d[u, i]``,
one small matrix product per code. Activations are recomputed block by block, only for pairs that a gradient reaches:
with a linear link those above the threshold.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Values of one hidden layer of a block: 4 MiB of float32, so that a block's layers stay near the cache.
BLOCK_VALUES = 1 << 20
ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def distinct_pair_scores(
    token_part: Tensor, codes: Tensor, item_part: Tensor, layers: list[tuple[Tensor, Tensor]], output: Tensor
) -> Tensor:
    """(N, C) float32 scores of a ReLU network whose first layer is ``token_part + item_part``, differentiable in all but `codes`.

    Parameters
    ----------
    token_part, codes
        (N, H) float32 and (N,) int64; only the first row of each code is used.
    item_part
        (C, H) float32.
    layers, output
        Weight (H, H) and bias (H,) of every further hidden layer; (H,) float32.
    """
    return _DistinctPairs.apply(token_part, codes, item_part, output, *(tensor for layer in layers for tensor in layer))


class _DistinctPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token_part: Tensor, codes: Tensor, item_part: Tensor, output: Tensor, *layers: Tensor) -> Tensor:
        inverse = codes.unique(return_inverse=True)[1]
        order = inverse.argsort(stable=True)  # tokens, code by code
        starts = F.pad(inverse.bincount().cumsum(0), (1, 0))  # (U + 1,)
        code_part = token_part[order[starts[:-1]]]  # (U, H)
        firsts = ((block[:, None] + item_part).relu_().flatten(0, 1) for block in code_part.split(_block(item_part)))
        scores = torch.cat([_activations(first, layers)[-1] @ output for first in firsts]).view(-1, len(item_part))
        ctx.save_for_backward(code_part, order, starts, item_part, output, *layers)
        return scores[inverse]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        code_part, order, starts, item_part, output, *layers = ctx.saved_tensors
        upstream = gradient[order]  # (N, C), code by code
        summed = F.embedding_bag(order, gradient, starts[:-1], mode="sum")  # (U, C)
        # Opposite gradients of two tokens may add up to nothing, so their sizes decide.
        reached = F.embedding_bag(order, gradient.abs(), starts[:-1], mode="sum") > 0  # (U, C)
        tokens = torch.zeros(len(order), item_part.shape[1], dtype=gradient.dtype, device=gradient.device)
        items, into_output, into_layers = torch.zeros_like(item_part), torch.zeros_like(output), [torch.zeros_like(x) for x in layers]
        edges, step = starts.tolist(), _block(item_part)
        for start in range(0, len(code_part), step):
            rows, columns = reached[start : start + step].nonzero(as_tuple=True)  # (p,), code by code
            first = code_part.index_select(0, start + rows).add_(item_part.index_select(0, columns)).relu_()
            delta = _backward(first, summed[start + rows, columns], output, into_output, layers, into_layers)
            items.index_add_(0, columns, delta * summed[start + rows, columns, None])
            pairs = F.pad(reached[start : start + step].sum(1).cumsum(0), (1, 0)).tolist()
            for (one, other), (low, high) in zip(pairwise(edges[start : start + step + 1]), pairwise(pairs), strict=True):
                torch.mm(upstream[one:other].index_select(1, columns[low:high]), delta[low:high], out=tokens[one:other])
        into_tokens = torch.empty_like(tokens)
        into_tokens[order] = tokens
        return into_tokens, None, items, into_output, *into_layers


def _backward(
    first: Tensor, weight: Tensor, output: Tensor, into_output: Tensor, layers: list[Tensor], into_layers: list[Tensor]
) -> Tensor:
    """Add the gradients of (p,) weighted pairs to those of the network; return each pair's own by its first layer, (p, H), unweighted."""
    hidden = _activations(first, layers)
    into_output += weight @ hidden[-1]
    # The derivative of a ReLU is that of a threshold at 0, in one pass.
    delta = torch.ops.aten.threshold_backward(output.expand_as(hidden[-1]), hidden[-1], 0)
    for number in reversed(range(len(layers) // 2)):
        scaled = delta * weight[:, None]
        into_layers[2 * number] += _linear(scaled.T, hidden[number].T)
        into_layers[2 * number + 1] += scaled.sum(0)
        delta = torch.ops.aten.threshold_backward(_linear(delta, layers[2 * number].T), hidden[number], 0)
    return delta


def _activations(first: Tensor, layers: tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    """(p, H) hidden values of every layer."""
    hidden = [first]
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        hidden.append(_linear(hidden[-1], weight, bias, "relu"))
    return hidden


def _linear(values: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str = "none") -> Tensor:
    """``activation(values @ weight.T + bias)`` of 2-d float32 tensors, by oneDNN on a CPU: on AMD processors twice as fast as MKL."""
    if values.device.type == "cpu" and ONEDNN and len(values):
        return torch.ops.mkldnn._linear_pointwise(values, weight, bias, activation, [], "")
    result = F.linear(values, weight, bias)
    return result.relu_() if activation == "relu" else result


def _block(item_part: Tensor) -> int:
    return max(1, BLOCK_VALUES // max(1, item_part.numel()))
