"""A trained model over a larger catalogue than its data: more items like the trained ones, drawn by a smoothed bootstrap."""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.interaction import ItemTable
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel

SPREAD = 0.5
# Item tables in memory at once while one is drawn: the part being made and its three operands.
_COPIES = 4

GrowingModel = TypeVar("GrowingModel", SparCodeModel, TwoTowerModel, AllToAllModel)


class Draws(NamedTuple):
    """The trained items that each new item is made of, (n,) int64 each; `base` is the one that it is like."""

    base: torch.Tensor
    one: torch.Tensor
    other: torch.Tensor


def draws(n_trained: int, n_items: int, seed: int) -> Draws:
    """Draw the new items of a catalogue of `n_items`, none where it is not larger than the trained one; ValueError below 1 item."""
    if n_items < 1:
        raise ValueError(f"a catalogue must have at least 1 item; got {n_items}")
    generator = torch.Generator().manual_seed(seed)
    return Draws(*(torch.randint(n_trained, (max(0, n_items - n_trained),), generator=generator) for _ in range(3)))


def growing_bytes(model: SparCodeModel | TwoTowerModel | AllToAllModel, n_items: int) -> int:
    """Bytes that `grown` takes at its peak, roughly: `_COPIES` float32 tables of vectors and biases."""
    dim = (model.backbone if isinstance(model, SparCodeModel) else model).items.embedding.weight.shape[1]
    return _COPIES * 4 * (dim + 1) * n_items


def grown(model: GrowingModel, n_items: int, seed: int, spread: float = SPREAD) -> GrowingModel:
    """A copy of a model with a larger catalogue: its own items, and more drawn from them by a smoothed bootstrap.

    A new item is a trained one plus `spread` times the difference of two others over the square root of 2, vector and bias alike: that
    noise has the covariance of the items, so scores keep their distribution. Fewer items than trained keep the first ones. Equal seeds give
    models of the same items the same catalogue. Queries stay histories of trained items.

    ValueError if items have side features, pair features, lists of their own or are codes themselves: these cannot be drawn anew.
    """
    if isinstance(model, SparCodeModel) and (model.pairs is not None or model.lists is not None or model.has_item_codes):
        raise ValueError(
            "a catalogue with pair features or item lists, or whose items are codes, cannot be grown: new items have no history"
        )
    model = copy.deepcopy(model)
    owners: list[nn.Module] = [model]
    if isinstance(model, SparCodeModel):
        owners.append(model.backbone)
    if not isinstance(model, TwoTowerModel):
        owners.append(owners[-1].interaction)
    _grow(owners[-1].items, n_items, seed, spread)
    for owner in owners:
        owner.n_items = n_items
    return model


@torch.no_grad()
def _grow(items: ItemTable, n_items: int, seed: int, spread: float) -> None:
    if items.features is not None:
        raise ValueError("items with side features cannot be drawn anew")
    n_kept = min(items.bias.numel(), n_items)
    base, one, other = draws(items.bias.numel(), n_items, seed)

    def drawn(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values[:n_kept], values[base].add_(values[one] - values[other], alpha=spread * 2**-0.5)])

    items.embedding = nn.Embedding.from_pretrained(drawn(items.embedding.weight))
    items.bias = nn.Parameter(drawn(items.bias))
