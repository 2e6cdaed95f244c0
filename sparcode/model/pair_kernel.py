"""The pair network's second layer, fused: ``out[n, i] = sum_h w[h] * relu(token[n, h] + item[h, i])``.

Plain tensor code writes the (N, I, H) hidden layer to memory several times; this kernel keeps it in registers.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.device import in_chunks


class _PairHidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, token: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        arrays = [tensor.detach().contiguous().numpy() for tensor in (token, item, weight)]
        out = np.zeros((token.shape[0], item.shape[1]), dtype=np.float32)
        in_chunks(len(out), lambda start, stop: _forward(*arrays, out, start, stop))
        ctx.save_for_backward(token, item, weight)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        arrays = [tensor.detach().contiguous().numpy() for tensor in (*ctx.saved_tensors, gradient)]
        token, item, weight = arrays[:3]
        token_gradient, item_gradient, weight_gradient = np.zeros_like(token.T), np.zeros_like(item), np.zeros_like(weight)
        gradients = (token_gradient, item_gradient, weight_gradient)
        in_chunks(len(weight), lambda start, stop: _backward(*arrays, *gradients, start, stop))
        return torch.from_numpy(token_gradient).T, torch.from_numpy(item_gradient), torch.from_numpy(weight_gradient)


def pair_hidden(token: Tensor, item: Tensor, weight: Tensor) -> Tensor:
    """(N, I) float32 sums over hidden units of ``weight * relu(token part + item part)``, differentiable in all arguments.

    `token` is (N, H), `item` (H, I), transposed so that the inner loop runs along memory, and `weight` (H,); all float32.
    """
    if token.device.type == "cpu" and token.dtype == torch.float32:
        return _PairHidden.apply(token, item, weight)
    blocks = [F.relu(block[:, :, None] + item) for block in token.split(max(1, 2**25 // max(1, item.numel())))]
    return torch.cat([torch.einsum("nhi,h->ni", block, weight) for block in blocks])


@numba.njit(nogil=True, fastmath=True, cache=True)
def _forward(token, item, weight, out, start, stop):
    n_hidden, n_items = item.shape
    for n in range(start, stop):
        row = out[n]
        for h in range(n_hidden):
            shift, factor, part = token[n, h], weight[h], item[h]
            for i in range(n_items):
                row[i] += factor * max(shift + part[i], np.float32(0))


@numba.njit(nogil=True, fastmath=True, cache=True)
def _backward(token, item, weight, gradient, token_gradient, item_gradient, weight_gradient, start, stop):
    n_tokens, n_items = gradient.shape
    for h in range(start, stop):
        part, into, factor = item[h], item_gradient[h], weight[h]
        total_weight = np.float32(0)
        for n in range(n_tokens):
            row, shift = gradient[n], token[n, h]
            total, total_relu = np.float32(0), np.float32(0)
            for i in range(n_items):
                hidden = shift + part[i]
                active = row[i] if hidden > 0 else np.float32(0)
                total += active
                total_relu += active * hidden
                into[i] += active * factor
            token_gradient[h, n] = total * factor
            total_weight += total_relu
        weight_gradient[h] = total_weight
