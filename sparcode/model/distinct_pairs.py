"""A deep pair network run once per distinct code, with the exact gradient of every token.

Tokens of the same code have the same scores, so the network runs on (code, item) pairs. Its parameters and the items see a code's tokens
only through the sum of their upstream gradients, so nearly all of the backward pass runs on those pairs too. Only the tokens need their own
gradients (straight-through, each in its own direction): with ``d[u, i]`` the derivative of a pair's score by its first layer, token t of
code u gets ``sum_i g[t, i] d[u, i]``, one small matrix product per code. Activations are made again block by block instead of being kept.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Values of one hidden layer of a block: 4 MiB of float32, so that a block's layers stay near the cache.
BLOCK_VALUES = 1 << 20


def distinct_pair_scores(
    token_part: Tensor, codes: Tensor, item_part: Tensor, layers: list[tuple[Tensor, Tensor]], output: Tensor
) -> Tensor:
    """Scores of a ReLU network over (token, item) pairs whose first layer is ``token_part + item_part``.

    Parameters
    ----------
    token_part
        (N, H) float32; rows of the same code are taken to be equal, the first one's values are used.
    codes
        (N,) int64.
    item_part
        (C, H) float32.
    layers
        Weight (H, H) and bias (H,) of every further hidden layer.
    output
        (H,) float32.

    Returns
    -------
    Tensor
        (N, C) float32, differentiable in all but `codes`.
    """
    return _DistinctPairs.apply(token_part, codes, item_part, output, *(tensor for layer in layers for tensor in layer))


class _DistinctPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token_part: Tensor, codes: Tensor, item_part: Tensor, output: Tensor, *layers: Tensor) -> Tensor:
        inverse = codes.unique(return_inverse=True)[1]
        order = inverse.argsort(stable=True)  # tokens, code by code
        starts = F.pad(inverse.bincount().cumsum(0), (1, 0))  # (U + 1,)
        code_part = token_part[order[starts[:-1]]]  # (U, H)
        scores = [_activations(block, item_part, layers)[-1] @ output for block in code_part.split(_block(item_part))]
        ctx.save_for_backward(code_part, order, starts, item_part, output, *layers)
        return torch.cat(scores)[inverse]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        code_part, order, starts, item_part, output, *layers = ctx.saved_tensors
        upstream = gradient[order]  # (N, C), code by code
        summed = F.embedding_bag(order, gradient, starts[:-1], mode="sum")  # (U, C)
        tokens = torch.empty(len(order), item_part.shape[1], dtype=gradient.dtype, device=gradient.device)
        items, into_output, into_layers = torch.zeros_like(item_part), torch.zeros_like(output), [torch.zeros_like(x) for x in layers]
        edges, step = starts.tolist(), _block(item_part)
        for start in range(0, len(code_part), step):
            hidden = _activations(code_part[start : start + step], item_part, layers)
            weight = summed[start : start + step].flatten()  # (b * C,)
            into_output += weight @ hidden[-1].flatten(0, 1)
            delta = output * (hidden[-1] > 0)  # (b, C, H), by the last layer before its ReLU, upstream 1
            for number in reversed(range(len(layers) // 2)):
                scaled = delta.flatten(0, 1) * weight[:, None]
                into_layers[2 * number].addmm_(scaled.T, hidden[number].flatten(0, 1))
                into_layers[2 * number + 1] += scaled.sum(0)
                delta = (delta @ layers[2 * number]).mul_(hidden[number] > 0)
            items += torch.einsum("uc,uch->ch", summed[start : start + step], delta)
            for row, (first, last) in zip(delta, pairwise(edges[start : start + step + 1]), strict=True):
                torch.mm(upstream[first:last], row, out=tokens[first:last])
        into_tokens = torch.empty_like(tokens)
        into_tokens[order] = tokens
        return into_tokens, None, items, into_output, *into_layers


def _activations(code_part: Tensor, item_part: Tensor, layers: tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    """(b, C, H) hidden values of every layer."""
    hidden = [(code_part[:, None] + item_part).relu_()]
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        hidden.append(F.linear(hidden[-1], weight, bias).relu_())
    return hidden


def _block(item_part: Tensor) -> int:
    return max(1, BLOCK_VALUES // max(1, item_part.numel()))
