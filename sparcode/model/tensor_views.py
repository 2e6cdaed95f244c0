"""Weights as arrays that share memory with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


class TensorViews:
    """Arrays over tensors, kept until a tensor's memory moves: values changed in place are seen at once, nothing is copied.

    `make` makes of the arrays what `of` returns. A copy starts empty, so that it copies no weights. Safe between threads.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._kept: tuple[tuple[int, ...], Any] = ((), None)

    def __reduce__(self) -> tuple[type, tuple]:
        return type(self), (self._make,)

    def of(self, tensors: tuple[Tensor, ...]) -> Any:
        """``make(*arrays)``; None unless all tensors are contiguous float32 on the CPU. The kept arrays hold on to their memory."""
        # Memory that is held on to is not given to other tensors, so the same address is the same memory.
        pointers = tuple([tensor.data_ptr() for tensor in tensors])
        kept = self._kept
        if kept[0] != pointers:
            kept = self._kept = (pointers, self._made(tensors))
        return kept[1]

    def _made(self, tensors: tuple[Tensor, ...]) -> Any:
        if not all(tensor.is_cpu and tensor.dtype == torch.float32 for tensor in tensors):
            return None
        arrays: list[np.ndarray] = [tensor.detach().numpy() for tensor in tensors]
        return self._make(*arrays) if all(array.flags.carray for array in arrays) else None
