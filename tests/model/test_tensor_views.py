from __future__ import annotations

import copy

import numpy as np
import torch

from sparcode.model.tensor_views import TensorViews


def pair(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return arrays


def test_views_are_kept_while_memory_stays_and_show_what_is_written() -> None:
    views, one, other = TensorViews(pair), torch.zeros(3), torch.ones(2, 2)
    first = views.of((one, other))
    one.add_(5)
    assert views.of((one, other)) is first
    assert first[0].tolist() == [5, 5, 5]
    assert first[1].ctypes.data == other.data_ptr()


def test_moved_memory_makes_new_views() -> None:
    views, parameter = TensorViews(pair), torch.nn.Parameter(torch.zeros(3))
    first = views.of((parameter,))
    for number in range(1, 4):
        # Were the old memory let go, a new tensor could stand where it was.
        parameter.data = torch.full((3,), float(number))
        (found,) = views.of((parameter,))
        assert found.tolist() == [number] * 3
    assert first[0].tolist() == [0, 0, 0]


def test_other_types_and_layouts_have_no_views() -> None:
    views = TensorViews(pair)
    for tensor in (torch.zeros(3, dtype=torch.float64), torch.zeros(4, 3).T, torch.zeros(3, device="meta"), torch.zeros(6)[::2]):
        assert views.of((torch.zeros(3), tensor)) is None


def test_a_copy_starts_empty() -> None:
    views, tensor = TensorViews(pair), torch.zeros(3)
    views.of((tensor,))
    other = copy.deepcopy(views)
    assert other._kept == ((), None)
    assert other.of((tensor,))[0].ctypes.data == tensor.data_ptr()
